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
import redis
from rich.console import Console

from greenpower.bus.keys import WHOLE
from greenpower.catalog.registry import discover
from greenpower.cli.watch import Board, age_text, values_of
from greenpower.config import Settings
from tests.process import Command, environment
from tests.realtime.conftest import make_reading, make_status, tell, tell_status
from tests.wait import wait_until


def text_of(board: Board, now: datetime, *, connected: bool = True) -> str:
    console = Console(width=140, record=True)
    console.print(board.table(now, connected=connected))
    return console.export_text()


def test_the_table_shows_titles_values_units_age_and_status() -> None:
    rt = discover()["rt"]
    titles = {field.name: field.title for field in rt.fields}
    board = Board([rt], None)
    reading = make_reading("D[1]", 0, ua=229.097, zyggl=6.5, odd=1)
    board.on_readings("rt", [reading, make_reading("D2")])
    board.on_statuses([make_status("D[1]"), make_status("D3", "offline")])
    now = datetime.fromtimestamp(1_770_000_000 + 400).astimezone()
    shown = text_of(board, now)
    values = (f"{titles['ua']} 229.097 V", f"{titles['zyggl']} 6.5 kW", "odd 1")
    for piece in ("D[1]", "online", "6 min", *values, "D2", "D3", "offline"):
        assert piece in shown
    assert "D2" not in text_of(Board([rt], "D[1]"), now)


def test_a_split_reading_is_shown_whole() -> None:
    """The packets of one reading, however they come: what is declared first is shown first."""
    rt = discover()["rt"]
    names = [field.name for field in rt.fields[:12]]
    packets = [make_reading("D1", 0, "rt", **{name: 1.5}) for name in names]
    board = Board([rt], None)
    for packet in reversed(packets):
        board.on_readings("rt", [packet])
    now = datetime.fromtimestamp(1_770_000_000 + 1).astimezone()
    shown = text_of(board, now)
    reading = board.cache.reading("rt", "D1")
    assert reading is not None
    assert [text.split(" 1.5")[0] for text in values_of(rt, reading)] == [field.title for field in rt.fields[:12]]
    assert rt.fields[0].title in shown and "6 more" in shown
    one = Board([rt], "D1")
    one.on_readings("rt", packets)
    whole = text_of(one, now)
    assert all(field.title in whole for field in rt.fields[:12])


def test_registers_keep_their_digits_and_numbered_points_their_order() -> None:
    rt = discover()["rt"]
    reading = make_reading("D1", 0, "rt", **{"10": 1, "9": 31057.123, "b": 2})
    assert list(values_of(rt, reading)) == ["9 31057.123", "10 1", "b 2"]


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
        wait_until(lambda: "AFTER" in read() and "offline" in read(), 30)
        process.send_signal(number)
        wait_until(lambda: (read(), process.poll() is not None)[1], 30)
        assert process.returncode == 0
        assert "Traceback" not in read()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--type", "solr"), ("solr", "'solar'")),
        (("--device", "33B122595002"), ("33B122595002", "'33B1225950027'")),
        (("--type", "solar", "--device", "33B1225950027"), ("33B1225950027",)),
    ],
)
def test_an_unknown_name_is_one_line_with_the_nearest(
    settings: Settings, tmp_path: Path, redis_url: str, arguments: tuple[str, ...], named: tuple[str, ...]
) -> None:
    tell(redis_url, make_reading("33B1225950027"))
    with redis.Redis.from_url(redis_url) as client:
        client.set(WHOLE, "1")
    with Command(settings, "watch", *arguments, folder=tmp_path) as command:
        assert command.process.wait(60) == 2
        [line] = command.log.read_text().splitlines()
        assert all(name in line for name in named)
