"""What an export fetches ahead: the same items in order, and no thread afterwards."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from greenpower.mongo.rollups.export import fetch_ahead


def test_the_next_is_fetched_while_one_is_worked_on() -> None:
    fetched = threading.Event()

    def items() -> Iterator[bytes]:
        yield b"1"
        fetched.set()
        yield b"2"

    ahead = fetch_ahead(items())
    assert next(ahead) == b"1"
    assert fetched.wait(60)
    assert list(ahead) == [b"2"]
    assert not _threads()


def test_an_error_reaches_the_reader_in_its_place() -> None:
    def items() -> Iterator[bytes]:
        yield b"1"
        raise ConnectionError

    ahead = fetch_ahead(items())
    assert next(ahead) == b"1"
    with pytest.raises(ConnectionError):
        next(ahead)
    assert not _threads()


def test_closing_waits_for_what_is_under_way() -> None:
    gone_on = threading.Event()

    def items() -> Iterator[bytes]:
        yield b"1"
        gone_on.set()
        yield b"2"
        raise AssertionError

    ahead = fetch_ahead(items())
    next(ahead)
    assert gone_on.wait(60)
    ahead.close()
    assert not _threads()


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name.startswith("export")]
