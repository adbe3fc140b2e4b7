"""The talk with a gateway, whatever pieces its stream comes in."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import FrameError
from tests.framing.stream import (
    ANSWERS,
    ASKED,
    GOOD,
    IDENTITY,
    NOISE,
    ROUND,
    payloads,
    pieces,
    reasons,
    talk,
)


def converse(stream: list[bytes]) -> tuple[list[bytes], bytes, list[str]]:
    dialogue = talk()
    output = b""
    for number, piece in enumerate(stream):
        dialogue.receive(piece, number / 1000)
        output += dialogue.take_output()
    return payloads(dialogue), output, reasons(dialogue)


HEALTHY = b"".join(IDENTITY + answer for answer in ANSWERS)


@given(st.lists(st.integers(0, 1000)), st.integers(1, 4))
def test_any_split_of_a_healthy_stream_gives_the_same_rounds(cuts: list[int], rounds: int) -> None:
    stream = HEALTHY * rounds
    assert converse(pieces(stream, cuts)) == ([ROUND] * rounds, b"".join(ASKED) * rounds, [])


def test_byte_by_byte_and_in_one_glued_piece() -> None:
    stream = HEALTHY * 2
    whole = converse([stream])
    assert whole == ([ROUND] * 2, b"".join(ASKED) * 2, [])
    assert converse([stream[at : at + 1] for at in range(len(stream))]) == whole


@given(st.lists(GOOD, max_size=8), st.lists(st.integers(0, 1000)))
def test_any_split_of_any_good_messages_gives_the_same(messages: list[bytes], cuts: list[int]) -> None:
    stream = IDENTITY + b"".join(messages)
    assert converse(pieces(stream, cuts)) == converse([stream])


@given(st.lists(GOOD | NOISE, max_size=20), st.lists(st.integers(0, 1000)))
def test_any_bytes_leave_a_dialogue_in_order_or_end_it_with_a_reason(parts: list[bytes], cuts: list[int]) -> None:
    dialogue = talk()
    now = 0.0
    asked = 0
    try:
        for piece in pieces(IDENTITY + b"".join(parts), cuts):
            dialogue.receive(piece, now)
            asked += len(dialogue.take_output()) // 12
            now += 1
            dialogue.tick(now)
    except FrameError as error:
        assert error.reason in {"other-gateway", "noise"}
    for payload, at in dialogue.take_frames():
        assert payload
        assert 0 <= at <= now
    for reason, _, _ in dialogue.take_notes():
        assert reason in {"noise", "exception", "unasked-answer", "no-answer"}


def test_a_registration_in_pieces() -> None:
    dialogue = talk()
    for byte in IDENTITY[:-1]:
        dialogue.receive(bytes([byte]), 0)
        assert dialogue.device_id is None
    dialogue.receive(IDENTITY[-1:] + IDENTITY[:3], 0)
    assert dialogue.device_id == "GWCCCL0001"
    assert dialogue.take_output() == ASKED[0]
