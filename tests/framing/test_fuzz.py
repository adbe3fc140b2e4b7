"""The two framers against random streams, for as long as a change is worth waiting for.

A failure is kept in Hypothesis' database: the next run of the same test shows it, shrunk.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.datatype import Frame, FrameError
from greenpower.framing.gateway import GatewayFramer, Heartbeat, Message, ModbusAnswer
from greenpower.framing.lines import LineFramer
from tests.framing.stream import ANSWERS, GOOD, IDENTITY, NOISE, POLL, REQUESTS, pieces, talk
from tests.framing.test_gateway import bytes_of
from tests.framing.test_lines import STREAMS, expected

SECONDS = 30

pytestmark = pytest.mark.slow


def fuzz(test: Callable[[], None]) -> None:
    """Run a Hypothesis test on random buffers until the time is up."""
    run = test.hypothesis.fuzz_one_input  # type: ignore[attr-defined]
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    source = random.Random(seed)
    end = time.monotonic() + SECONDS
    runs = 0
    while time.monotonic() < end:
        run(source.randbytes(source.choice((64, 512, 4096))))
        runs += 1
    assert runs > 100


def test_lines() -> None:
    @settings(deadline=None)
    @given(st.lists(STREAMS, max_size=8).map(b"".join), st.lists(st.integers(0, 2000)), st.integers(1, 200))
    def case(stream: bytes, cuts: list[int], limit: int) -> None:
        framer = LineFramer(limit=limit)
        assert [line for piece in pieces(stream, cuts) for line in framer.receive(piece)] == expected(stream, limit)
        assert framer.pending == len(stream.rpartition(b"\n")[2])

    fuzz(case)


def test_gateway_and_dialogue() -> None:
    longest = max(map(len, ANSWERS))

    @settings(deadline=None)
    @given(st.lists(GOOD | NOISE, max_size=30), st.lists(st.integers(0, 2000)))
    def case(parts: list[bytes], cuts: list[int]) -> None:
        stream = IDENTITY + b"".join(parts)
        framer = GatewayFramer("GWCCCL####", REQUESTS)
        found: list[Message] = []
        for piece in pieces(stream, cuts):
            found += framer.receive(piece)
            assert len(framer._buffer) < longest + len(IDENTITY)
        for _ in stream:
            found += framer.give_up()
        assert b"".join(map(bytes_of, found)) == stream
        for message in found:
            if isinstance(message, ModbusAnswer):
                assert message.data[:8] in (message.request.answer_head[:8], message.request.exception_head)
            if isinstance(message, Heartbeat):
                assert message.identity.startswith("GWCCCL")

        dialogue = talk()
        with suppress(FrameError):
            for now, piece in enumerate(pieces(stream, cuts)):
                dialogue.receive(piece, now)
                dialogue.tick(now + 0.5)
        dialogue.close()
        for payload, _ in dialogue.take_frames():
            assert POLL(Frame(topic="tcp/test/GWCCCL0001", payload=payload, device="GWCCCL0001"))

    fuzz(case)
