"""Who a process is, and whether it is still there."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil

# The system computes a process's start from the time since boot; a clock that is set moves it.
BORN_TOLERANCE_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessIdentity:
    """A process. host: its machine or container. born: seconds since 1970."""

    host: str
    pid: int
    born: float

    def fields(self) -> dict[str, Any]:
        """As keys of a document."""
        return {"host": self.host, "pid": self.pid, "born": self.born}


def this_process() -> ProcessIdentity:
    """The process that calls."""
    return ProcessIdentity(host=platform.node(), pid=os.getpid(), born=psutil.Process().create_time())


def is_there(found: Mapping[str, Any]) -> bool | None:
    """Whether the process with a document's host, pid and born exists. None where it is of another machine."""
    if found["host"] != platform.node():
        return None
    try:
        process = psutil.Process(found["pid"])
        return (
            abs(process.create_time() - found["born"]) < BORN_TOLERANCE_SECONDS
            and process.status() != psutil.STATUS_ZOMBIE
        )
    except psutil.NoSuchProcess:
        return False
    except psutil.AccessDenied:
        return True
