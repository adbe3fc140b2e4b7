"""Lines."""

from __future__ import annotations

from hashlib import sha256
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.framing.lines import MAX_HEAD_BYTES, LineFramer, Overlong


def overlong(line: bytes) -> Overlong:
    return Overlong(length=len(line), digest=sha256(line).hexdigest(), head=line[:MAX_HEAD_BYTES])


def expected(stream: bytes, limit: int) -> list[bytes | Overlong]:
    """What a stream holds, told the simple way."""
    lines: list[bytes | Overlong] = []
    for line in stream.split(b"\n")[:-1]:
        content = line.removesuffix(b"\r")
        if len(content) > limit:
            lines.append(overlong(line))
        elif content:
            lines.append(content)
    return lines


def pieces(stream: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]


STREAMS = st.lists(st.binary(max_size=12) | st.sampled_from([b"\n", b"\r\n", b"\r", b"x" * 30]), max_size=12).map(
    b"".join
)


@given(STREAMS, st.lists(st.integers(0, 400)), st.integers(1, 40))
def test_any_split_gives_the_same_lines(stream: bytes, cuts: list[int], limit: int) -> None:
    framer = LineFramer(limit=limit)
    found = [line for piece in pieces(stream, cuts) for line in framer.receive(piece)]
    assert found == expected(stream, limit)
    assert framer.pending == len(stream.rpartition(b"\n")[2])


def test_byte_by_byte() -> None:
    framer = LineFramer(limit=10)
    stream = b"one\r\n\ntwo\n" + b"x" * 11 + b"\nthree\n"
    found = [line for byte in stream for line in framer.receive(bytes([byte]))]
    assert found == [b"one", b"two", overlong(b"x" * 11), b"three"]


def test_an_endless_line_costs_no_memory() -> None:
    framer = LineFramer(limit=1000)
    for _ in range(2000):
        assert framer.receive(b"x" * 1000) == []
        assert len(framer._buffer) <= 2001
        assert len(framer._head) <= MAX_HEAD_BYTES
    assert framer.receive(b"\nnext\n") == [overlong(b"x" * 2_000_000), b"next"]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_the_limit_itself_is_allowed(ending: bytes) -> None:
    assert LineFramer(limit=5).receive(b"12345" + ending) == [b"12345"]
    assert LineFramer(limit=5).receive(b"123456" + ending) == [overlong(b"123456" + ending[:-1])]
