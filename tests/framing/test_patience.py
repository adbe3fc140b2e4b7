"""The talk with a gateway that answers late, not at all, or nonsense."""

from __future__ import annotations

from itertools import pairwise

import pytest

from greenpower.datatype import FrameError
from greenpower.framing.dialogue import MAX_NOISE_RUN_BYTES
from tests.framing.stream import (
    ANSWERS,
    ASKED,
    IDENTITY,
    payloads,
    reasons,
    registered,
    talk,
)


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
    assert dialogue.noise <= 1200 + MAX_NOISE_RUN_BYTES + 256


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
    assert caught.value.reason == "silent" and " 300 s" in caught.value.detail


def test_noise_is_no_sign_of_life() -> None:
    dialogue = registered()
    dialogue.receive(b"\xaa", 299)
    assert dialogue.heard == 0
    with pytest.raises(FrameError):
        dialogue.tick(300)
