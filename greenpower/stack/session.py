"""Sessions of processes: a child and all that it forked, even when the child itself is gone.

Every child leads a session of its own; what it forks stays in that session wherever it is re-parented to.
"""

from __future__ import annotations

import contextlib
import os
import signal

import psutil


def session_members(leader: int) -> list[int]:
    """Process ids in the session that `leader` led or leads, zombies left out."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def kill_session(leader: int) -> int:
    """kill -9 every process of the session; how many there were."""
    members = session_members(leader)
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(members)
