"""The talk with a gateway: whose turn it is, and what a round is."""

from __future__ import annotations

import re

import pytest

from greenpower.datatype import Dialogue, FrameError
from tests.framing.stream import (
    ANSWERS,
    ASKED,
    IDENTITY,
    REQUESTS,
    ROUND,
    payloads,
    reasons,
    registered,
    talk,
)


def test_it_is_a_dialogue() -> None:
    dialogue: Dialogue = talk()
    assert dialogue.device_id is None
    assert dialogue.heard is None
    assert dialogue.deadline is None


def test_one_question_a_heartbeat_in_turn_and_a_frame_a_round() -> None:
    dialogue = talk()
    now = 0.0
    for _ in range(3):
        for asked, answer in zip(ASKED, ANSWERS, strict=True):
            dialogue.receive(IDENTITY, now)
            assert dialogue.take_output() == asked
            assert dialogue.take_output() == b""
            assert dialogue.take_frames() == []
            dialogue.receive(answer, now + 1)
            assert dialogue.take_output() == b"", "the next question waits for the next heartbeat"
            now += 30
        assert dialogue.take_frames() == [(ROUND, now - 29)]
        assert dialogue.take_frames() == []
    assert dialogue.device_id == "GWCCCL0001"
    assert dialogue.heard == now - 29
    assert dialogue.take_notes() == []


def test_a_heartbeat_during_a_question_is_answered_after_it() -> None:
    dialogue = registered()
    dialogue.receive(IDENTITY, 1)
    dialogue.receive(IDENTITY, 2)
    assert dialogue.take_output() == b"", "one question at a time"
    dialogue.receive(ANSWERS[0], 3)
    assert dialogue.take_output() == ASKED[1]
    dialogue.receive(ANSWERS[1], 4)
    assert dialogue.take_output() == b"", "two heartbeats while one question was under way are one"


@pytest.mark.parametrize("data", [b"\x00", b"GET / HTTP/1.1", b"GWCCCLx", ANSWERS[0], b"\xff" * 100_000])
def test_a_stream_that_does_not_start_with_a_registration_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        talk().receive(data, 0)
    assert caught.value.reason == "not-registered"


def test_a_gateway_keeps_its_name() -> None:
    dialogue = registered()
    with pytest.raises(FrameError) as caught:
        dialogue.receive(b"GWCCCL0002", 1)
    assert caught.value.reason == "other-gateway"
    assert re.findall("GW[A-Z0-9]+", caught.value.detail) == ["GWCCCL0001", "GWCCCL0002"]


def test_an_exception_is_noted_and_the_next_is_asked() -> None:
    dialogue = registered()
    dialogue.receive(REQUESTS[0].exception(2), 1)
    ((reason, detail, data),) = dialogue.take_notes()
    assert (reason, data) == ("exception", REQUESTS[0].exception(2))
    assert re.findall(r"\d+", detail) == ["2", "1", "3000", "3003"]
    for answer, asked in zip(ANSWERS[1:], ASKED[1:], strict=True):
        dialogue.receive(IDENTITY, 2)
        assert dialogue.take_output() == asked
        dialogue.receive(answer, 3)
    assert payloads(dialogue) == [ANSWERS[1] + ANSWERS[2]]


def test_a_round_of_exceptions_alone_is_no_frame() -> None:
    dialogue = talk()
    for request in REQUESTS:
        dialogue.receive(IDENTITY + request.exception(11), 0)
    assert dialogue.take_frames() == []
    assert reasons(dialogue) == ["exception"] * 3


def test_a_round_is_stamped_with_the_arrival_of_its_last_answer() -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0], 1)
    dialogue.receive(IDENTITY, 2)
    dialogue.receive(ANSWERS[1], 3)
    dialogue.receive(IDENTITY, 4)
    dialogue.tick(14)
    assert dialogue.take_frames() == [(ANSWERS[0] + ANSWERS[1], 3)]


def test_an_unfinished_round_is_noted_when_the_connection_ends() -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0], 1)
    dialogue.receive(IDENTITY, 2)
    dialogue.receive(ANSWERS[1], 3)
    dialogue.close()
    dialogue.close()
    assert dialogue.take_notes() == [("unfinished-round", "2 answers", ANSWERS[0] + ANSWERS[1])]
    assert dialogue.take_frames() == []


def test_connections_have_rounds_of_their_own() -> None:
    one, other = registered(), registered()
    one.receive(ANSWERS[0], 1)
    other.receive(IDENTITY, 2)
    assert other.take_output() == b""
    one.receive(IDENTITY, 3)
    assert one.take_output() == ASKED[1]
