"""Processes that a killed run left behind: they are recorded in the home, and stopped before the next run starts.

A record can fail where the disk is full. So each child also has a mark in its environment.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

import psutil

from greenpower.config import run_file
from greenpower.stack.home import Warn, ignore, read_note, write_private
from greenpower.stack.session import kill_session

MARK = "GREENPOWER_CHILD_OF"
LOST = "the process ids of an earlier run; its processes are found by their mark"
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


def mark(home: Path) -> dict[str, str]:
    """The environment variable by which a child of this home is known, where its process id could not be noted."""
    return {MARK: str(home.resolve())}


def end_stale_processes(home: Path, warn: Warn = ignore) -> list[str]:
    """Stop the children of an earlier run that are still running; their names.

    They got SIGTERM when their supervisor died (see `die_with_parent`), so this mostly waits.
    """
    left = _running(home, warn)
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


def _running(home: Path, warn: Warn) -> dict[str, psutil.Process]:
    noted = read_note(_file(home), LOST, warn)
    running = _marked(home)
    for name, item in noted.items() if isinstance(noted, dict) else ():
        with contextlib.suppress(psutil.Error, TypeError, ValueError):
            pid, began = item
            process = psutil.Process(pid)
            if abs(process.create_time() - began) < SAME_PROCESS_SECONDS and _is_running(process):
                running = {other: found for other, found in running.items() if found.pid != pid} | {name: process}
    return running


def _marked(home: Path) -> dict[str, psutil.Process]:
    """Running children of this home by their mark: the leaders of their sessions, as a child of the supervisor is."""
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            if process.environ().get(MARK) == mark(home)[MARK] and os.getsid(process.pid) == process.pid:
                found[f"{process.name()} ({process.pid})"] = process
    return {name: process for name, process in found.items() if _is_running(process)}
