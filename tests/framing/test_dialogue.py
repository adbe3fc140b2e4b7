"""The talk with a gateway: whose turn it is, and what was missed."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.datatype import Dialogue, FrameError
from greenpower.framing.dialogue import MOST_NOISE, PollDialogue
from tests.framing.stream import ANSWERS, GOOD, IDENTITY, NOISE, REQUESTS, ROUND, pieces, talk

ASKED = [request.encoded for request in REQUESTS]


def registered(now: float = 0) -> PollDialogue:
    """A dialogue whose first question is under way."""
    dialogue = talk()
    dialogue.receive(IDENTITY, now)
    assert dialogue.take_output() == ASKED[0]
    return dialogue


def payloads(dialogue: PollDialogue) -> list[bytes]:
    return [payload for payload, _ in dialogue.take_frames()]


def reasons(dialogue: PollDialogue) -> list[str]:
    return [reason for reason, _, _ in dialogue.take_notes()]


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


@pytest.mark.parametrize("data", [b"\x00", b"GET / HTTP/1.1", b"GWCCCLx", ANSWERS[0], b"\xff" * 100_000])
def test_a_stream_that_does_not_start_with_a_registration_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        talk().receive(data, 0)
    assert caught.value.reason == "not-registered"


def test_a_registration_in_pieces() -> None:
    dialogue = talk()
    for byte in IDENTITY[:-1]:
        dialogue.receive(bytes([byte]), 0)
        assert dialogue.device_id is None
    dialogue.receive(IDENTITY[-1:] + IDENTITY[:3], 0)
    assert dialogue.device_id == "GWCCCL0001"
    assert dialogue.take_output() == ASKED[0]


def test_a_gateway_keeps_its_name() -> None:
    dialogue = registered()
    with pytest.raises(FrameError) as caught:
        dialogue.receive(b"GWCCCL0002", 1)
    assert (caught.value.reason, caught.value.detail) == ("other-gateway", "GWCCCL0001 calls itself GWCCCL0002")


def test_an_exception_is_noted_and_the_next_is_asked() -> None:
    dialogue = registered()
    dialogue.receive(REQUESTS[0].exception(2), 1)
    assert dialogue.take_notes() == [
        ("exception", "illegal data address (2): unit 1, holding registers 3000 to 3003", REQUESTS[0].exception(2))
    ]
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


@pytest.mark.parametrize("heard", [0, 1, 4, 9, 12, len(ANSWERS[0]) - 1])
def test_an_answer_that_does_not_come_or_not_to_its_end(heard: int) -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0][:heard], 1)
    due = dialogue.deadline
    assert due == (11 if heard else 10)
    dialogue.tick(due - 0.1)
    assert dialogue.take_notes() == []
    dialogue.tick(due)
    assert reasons(dialogue) == ["no-answer", "noise"] if heard else ["no-answer"]
    dialogue.receive(IDENTITY, due + 1)
    assert dialogue.take_output() == b"", "a pause after an answer that did not come"
    dialogue.receive(IDENTITY, due + 10)
    assert dialogue.take_output() == ASKED[1]
    assert dialogue.heard == due + 10
    dialogue.receive(ANSWERS[1], due + 11)
    dialogue.receive(IDENTITY, due + 12)
    dialogue.receive(ANSWERS[2], due + 13)
    assert dialogue.take_frames() == [(ANSWERS[1] + ANSWERS[2], due + 13)]


def test_a_round_is_stamped_with_the_arrival_of_its_last_answer() -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0], 1)
    dialogue.receive(IDENTITY, 2)
    dialogue.receive(ANSWERS[1], 3)
    dialogue.receive(IDENTITY, 4)
    dialogue.tick(14)
    assert dialogue.take_frames() == [(ANSWERS[0] + ANSWERS[1], 3)]


def test_pauses_between_questions_that_get_no_answer_grow_and_end_with_one() -> None:
    dialogue = talk()
    asked: list[int] = []
    for now in range(2000):
        dialogue.receive(IDENTITY, now)
        dialogue.tick(now)
        if dialogue.take_output():
            asked.append(now)
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert waits[:8] == [10 + pause for pause in (10, 20, 40, 80, 160, 300, 300, 300)]
    while dialogue.take_output() != ASKED[0]:
        now += 1
        dialogue.receive(IDENTITY, now)
        dialogue.tick(now)
    dialogue.receive(ANSWERS[0], now)
    dialogue.receive(IDENTITY, now)
    assert dialogue.take_output() == ASKED[1]
    dialogue.tick(now + 10)
    dialogue.receive(IDENTITY, now + 19)
    assert dialogue.take_output() == b""
    dialogue.receive(IDENTITY, now + 20)
    assert dialogue.take_output() == ASKED[2], "the first pause again"


def test_an_answer_that_keeps_coming_is_waited_for_up_to_a_bound() -> None:
    dialogue = registered()
    for second, byte in enumerate(ANSWERS[0]):
        dialogue.receive(bytes([byte]), second)
        dialogue.tick(second)
    assert dialogue.take_notes() == []
    dialogue.receive(IDENTITY, 50)
    for at in range(5):
        dialogue.receive(ANSWERS[1][at : at + 1], 51 + 9 * at)
        dialogue.tick(51 + 9 * at)
    assert dialogue.deadline == 50 + 40
    dialogue.tick(90)
    assert reasons(dialogue) == ["no-answer", "noise"]


def test_a_late_answer_is_noted_and_belongs_to_no_round() -> None:
    dialogue = registered()
    dialogue.tick(10)
    dialogue.receive(ANSWERS[0], 12)
    assert reasons(dialogue) == ["no-answer", "unasked-answer"]
    dialogue.receive(IDENTITY, 20)
    assert dialogue.take_output() == ASKED[1]
    dialogue.receive(ANSWERS[0] + ANSWERS[1], 21)
    assert reasons(dialogue) == ["unasked-answer"]
    dialogue.receive(IDENTITY, 22)
    dialogue.receive(ANSWERS[2], 23)
    assert payloads(dialogue) == [ANSWERS[1] + ANSWERS[2]]


def test_an_answer_that_comes_twice_counts_once() -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0] + ANSWERS[0], 1)
    assert reasons(dialogue) == ["unasked-answer"]


def test_noise_is_counted_noted_and_not_put_up_with_for_ever() -> None:
    dialogue = registered()
    dialogue.receive(b"\xaa" * 600 + IDENTITY + b"\xaa" * 600 + IDENTITY, 1)
    assert dialogue.noise == 1200
    assert sum(len(data) for _, _, data in dialogue.take_notes()) == 1200
    with pytest.raises(FrameError) as caught:
        dialogue.receive(b"\xaa" * 100_000, 2)
    assert caught.value.reason == "noise"
    assert dialogue.noise <= 1200 + MOST_NOISE + 256


def test_answers_that_nobody_asked_for_are_not_put_up_with_for_ever() -> None:
    dialogue = registered()
    with pytest.raises(FrameError) as caught:
        dialogue.receive(ANSWERS[2] * 10_000, 1)
    assert caught.value.reason == "noise"
    assert len(dialogue.take_notes()) < 100


def test_a_message_that_begins_while_nothing_is_asked_is_let_go() -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0] + b"GWC", 1)
    assert dialogue.deadline == 11
    dialogue.tick(11)
    assert reasons(dialogue) == ["noise"]
    assert dialogue.deadline == 301


def test_silence_ends_a_connection() -> None:
    dialogue = registered()
    dialogue.receive(ANSWERS[0], 1)
    assert dialogue.deadline == 301
    dialogue.tick(300.9)
    with pytest.raises(FrameError) as caught:
        dialogue.tick(301)
    assert (caught.value.reason, caught.value.detail) == ("silent", "no sign of life in 300 s")


def test_noise_is_no_sign_of_life() -> None:
    dialogue = registered()
    dialogue.receive(b"\xaa", 299)
    assert dialogue.heard == 0
    with pytest.raises(FrameError):
        dialogue.tick(300)


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
