"""`greenpower watch`: the table, and that it ends cleanly."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import pytest
from rich.console import Console

from greenpower.catalog.registry import discover
from greenpower.cli.watch import Board, age_text
from greenpower.config import Settings
from tests.process import Command, environment
from tests.realtime.conftest import make_reading, make_status, tell, tell_status
from tests.wait import wait_until


def text_of(board: Board, now: datetime, *, connected: bool = True) -> str:
    console = Console(width=140, record=True)
    console.print(board.table(now, connected=connected))
    return console.export_text()


def test_the_table_shows_values_units_age_and_status() -> None:
    registry = discover()
    board = Board([registry["rt"]], None)
    reading = make_reading("D[1]", 0, ua=229.097, zyggl=6.5, odd=1)
    board.on_readings("rt", [reading, make_reading("D2")])
    board.on_statuses([make_status("D[1]"), make_status("D3", "offline")])
    now = datetime.fromtimestamp(1_770_000_000 + 400).astimezone()
    shown = text_of(board, now)
    for piece in ("D[1]", "online", "6 min", "ua 229.097 V", "zyggl 6.5 kW", "odd 1", "D2", "D3", "offline"):
        assert piece in shown
    assert "Redis is away" in text_of(board, now, connected=False)
    assert "D2" not in text_of(Board([registry["rt"]], "D[1]"), now)


@pytest.mark.parametrize(("seconds", "text"), [(-1, "0 s"), (59, "59 s"), (60, "1 min"), (7200, "2 h"), (2e5, "2 d")])
def test_ages(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@contextmanager
def terminal(settings: Settings, *arguments: str) -> Iterator[tuple[subprocess.Popen[bytes], Callable[[], str]]]:
    """A command in a terminal of its own: its process, and what it has written so far."""
    mine, its = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "greenpower", *arguments],
        env={**environment(settings), "TERM": "xterm", "COLUMNS": "140", "LINES": "40"},
        stdin=its,
        stdout=its,
        stderr=its,
    )
    os.close(its)
    os.set_blocking(mine, False)
    written = b""

    def read() -> str:
        nonlocal written
        with suppress(OSError):  # nothing there, or its end is closed
            while more := os.read(mine, 65536):
                written += more
        return written.decode(errors="replace")

    try:
        yield process, read
    finally:
        process.kill()
        process.wait()
        os.close(mine)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_shows_what_comes_and_ends_on_a_signal(number: signal.Signals, settings: Settings, redis_url: str) -> None:
    tell(redis_url, make_reading("BEFORE"))
    with terminal(settings, "watch", "--type", "rt") as (process, read):
        wait_until(lambda: "BEFORE" in read(), 20)
        tell(redis_url, make_reading("AFTER"))
        tell_status(redis_url, make_status("AFTER", "offline"))
        wait_until(lambda: "AFTER" in read() and "offline" in read())
        process.send_signal(number)
        wait_until(lambda: (read(), process.poll() is not None)[1])
        assert process.returncode == 0
        assert "Traceback" not in read()


def test_an_unknown_type_is_one_line(settings: Settings, tmp_path: Path) -> None:
    with Command(settings, "watch", "--type", "nothing", folder=tmp_path) as command:
        assert command.process.wait(20) == 2
        assert "'nothing'" in command.log.read_text()
