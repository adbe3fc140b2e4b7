"""Starting a child process so that it never outlives its parent and never gets the Ctrl-C of the terminal."""

from __future__ import annotations

import ctypes
import os
import signal
from collections.abc import Callable
from functools import cache

PR_SET_PDEATHSIG = 1
PR_SET_CHILD_SUBREAPER = 36


@cache
def _prctl() -> Callable[[int, int], int] | None:
    """prctl of the C library; None if it has none (macOS)."""
    try:
        return ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError):
        return None


def die_with_parent() -> Callable[[], None]:
    """A `preexec_fn`: the child gets SIGTERM when its parent dies, however the parent dies.

    SIGTERM, not SIGKILL, because the broker writes its sessions when it stops. The kernel watches the *thread* that
    forks: start children from a thread that lives at least as long as they do.
    """
    parent, prctl = os.getpid(), _prctl()

    def in_child() -> None:
        if prctl is not None:
            die_with(parent)

    return in_child


def die_with(parent: int) -> None:
    """Get SIGTERM when the parent process dies; end now if it already has. Linux only."""
    prctl = _prctl()
    assert prctl is not None
    prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != parent:  # it died between fork and prctl
        os._exit(1)


def become_subreaper() -> None:
    """Become the parent of all descendants whose parent ends. Linux only."""
    prctl = _prctl()
    assert prctl is not None
    prctl(PR_SET_CHILD_SUBREAPER, 1)
