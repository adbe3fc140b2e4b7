"""Reading ahead: what comes in which order, what an error costs, and that nothing reads on when it is stopped."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from greenpower.rollups.read_ahead import read_ahead


def test_parts_come_in_order_with_what_was_read() -> None:
    assert list(read_ahead(iter(range(5)), lambda part: part * 10)) == [(part, part * 10) for part in range(5)]
    assert list(read_ahead(iter(()), lambda part: part)) == []


def test_next_part_is_read_while_one_is_computed_and_no_further_one() -> None:
    read: list[int] = []
    second, third = threading.Event(), threading.Event()

    def read_one(part: int) -> int:
        read.append(part)
        if part == 1:
            second.set()
        if part == 2:
            third.set()
        return part

    coming = read_ahead(iter(range(4)), read_one)
    assert next(coming) == (0, 0)
    assert second.wait(30)
    assert read == [0, 1]
    assert next(coming) == (1, 1)
    assert third.wait(30)
    assert read == [0, 1, 2]
    coming.close()  # type: ignore[attr-defined]


@pytest.mark.parametrize("broken", [0, 1, 3])
def test_error_of_reading_is_raised_where_the_part_would_come(broken: int) -> None:
    def read_one(part: int) -> int:
        if part == broken:
            raise OSError("gone")
        return part

    done = []
    with pytest.raises(OSError, match="gone"):
        for part, _ in read_ahead(iter(range(4)), read_one):
            done.append(part)
    assert done == list(range(broken))


def test_error_of_cutting_is_raised_after_the_parts_before_it() -> None:
    def parts() -> Iterator[int]:
        yield 0
        raise OSError("gone")

    done = []
    with pytest.raises(OSError, match="gone"):
        for part, _ in read_ahead(parts(), lambda part: part):
            done.append(part)
    assert done == [0]


def test_nothing_reads_on_after_an_error_of_computing() -> None:
    reading, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def read_one(part: int) -> int:
        if part == 1:
            reading.set()
            assert may_end.wait(30)
            ended.set()
        return part

    with pytest.raises(ValueError, match="wrong"):
        for _ in read_ahead(iter(range(9)), read_one):
            assert reading.wait(30)
            may_end.set()
            raise ValueError("wrong")
    assert ended.is_set()
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("read-ahead")]
