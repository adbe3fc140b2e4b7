"""Sessions of processes: a child and its descendants, even when the child itself has ended.

Every child leads a session of its own, and its descendants stay in that session.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

import psutil

REAP_SECONDS = 1.0
POLL_SECONDS = 0.01


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


def reap_session(leader: int) -> None:
    """Reap the descendants of a leader that has ended and been killed with `kill_session`: where this process is the
    subreaper, they are its children now. Waits a moment for them to end."""
    end = time.monotonic() + REAP_SECONDS
    while (ours := [pid for pid in _children() if _session_of(pid) == leader]) and time.monotonic() < end:
        for pid in ours:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)
        time.sleep(POLL_SECONDS)


def _children() -> list[int]:
    return [child.pid for child in psutil.Process().children()]


def _session_of(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None
