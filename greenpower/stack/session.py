"""Sessions of processes: a child and its descendants, even when the child itself has ended.

Every child leads a session of its own, and its descendants stay in that session.
"""

from __future__ import annotations

import contextlib
import os
import signal

import psutil


def session_members(leader: int) -> list[int]:
    """Process ids in the session of `leader`, without zombies."""
    found = []
    for pid in psutil.pids():
        with contextlib.suppress(OSError, psutil.Error):
            if os.getsid(pid) == leader and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:
                found.append(pid)
    return found


def kill_session(leader: int) -> int:
    """kill -9 for every process of the session; returns their number."""
    members = session_members(leader)
    for pid in members:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return len(members)
