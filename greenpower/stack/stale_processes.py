"""Processes that a killed run left behind: they are recorded in the home, and stopped before the next run starts."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from greenpower.config import run_file
from greenpower.stack.home import write_private
from greenpower.stack.session import kill_session

SAME_PROCESS_SECONDS = 2.0
STOP_SECONDS = 20.0
POLL_SECONDS = 0.05


def note_children(home: Path, pids: Mapping[str, int]) -> None:
    """Record the children of this run with their start times: process ids are reused."""
    noted = {}
    for name, pid in pids.items():
        with contextlib.suppress(psutil.Error):
            noted[name] = [pid, psutil.Process(pid).create_time()]
    write_private(_file(home), json.dumps(noted))


def forget_children(home: Path) -> None:
    """Delete the record, after a clean stop."""
    _file(home).unlink(missing_ok=True)


def end_stale_processes(home: Path) -> list[str]:
    """Stop the children of an earlier run that are still running; their names.

    They got SIGTERM when their supervisor died (see `die_with_parent`), so this mostly waits.
    """
    left = _running(home)
    began = time.monotonic()
    for process in left.values():
        with contextlib.suppress(psutil.Error):
            process.terminate()
    while any(_is_running(process) for process in left.values()) and time.monotonic() - began < STOP_SECONDS:
        time.sleep(POLL_SECONDS)
    for process in left.values():
        if _is_running(process):
            kill_session(process.pid)
    forget_children(home)
    return list(left)


def _file(home: Path) -> Path:
    return run_file(home).with_name("children.json")


def _is_running(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _running(home: Path) -> dict[str, psutil.Process]:
    try:
        noted = json.loads(_file(home).read_text())
    except (OSError, ValueError):
        return {}
    running = {}
    for name, (pid, began) in noted.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if abs(process.create_time() - began) < SAME_PROCESS_SECONDS and _is_running(process):
                running[name] = process
    return running
