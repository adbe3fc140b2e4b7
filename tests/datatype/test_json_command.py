"""Declared JSON commands: the messages, how answers are read, and simulated devices that understand."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from greenpower.datatype import (
    Answer,
    DeclarationError,
    Frame,
    FrameError,
    JsonCommand,
    JsonCommandFormat,
    Message,
    Order,
    Parameter,
)

VALVES = JsonCommandFormat(operation="op", device="who", code="ok", done="yes", failed="no", detail="why", tail=4)
SET = JsonCommand(topic="set/", answer="set-done", body={"part": "valve", "level": "{level}", "since": "{at:%H%M}"})
ASK = JsonCommand(topic="ask/", answer="asked", body={"part": "valve"}, asks={"level": "10"})
LEVEL = VALVES.command("set_level", "Set the level", SET, ASK, parameters=(Parameter("level", low=0, high=100),))
DEVICE, OPERATION = "VALVE-0042", "1" * 32
SIMULATED_RESPONSE = VALVES.simulated_response((SET, ASK))


def order(**parameters: int) -> Order:
    at = datetime(2026, 1, 12, 16, 39, tzinfo=UTC)
    return Order(device_id=DEVICE, operation=OPERATION, at=at, parameters=parameters)


def hear(memory: dict[str, str], told: Message) -> dict[str, Any]:
    (answer,) = SIMULATED_RESPONSE.obey(DEVICE, memory, told)
    found: dict[str, Any] = {"topic": answer.topic, **json.loads(answer.payload)}
    return found


def test_a_command_is_filled_in() -> None:
    told = LEVEL.build(order(level=30))
    assert told.topic == "set/0042"
    assert json.loads(told.payload) == {"op": OPERATION, "part": "valve", "level": "30", "since": "1639"}
    assert LEVEL.answers == ("set-done", "asked")


def test_a_device_that_understands_keeps_what_is_set_and_says_it() -> None:
    assert SIMULATED_RESPONSE.topics(DEVICE) == ("set/0042", "ask/0042")
    assert LEVEL.read_back is not None
    memory: dict[str, str] = {}
    question = LEVEL.read_back.build(order())
    assert hear(memory, question) == {"topic": "asked", "who": DEVICE, "op": OPERATION, "ok": "yes", "level": "10"}
    assert hear(memory, LEVEL.build(order(level=30))) == {
        "topic": "set-done", "who": DEVICE, "op": OPERATION, "ok": "yes",
    }  # fmt: skip
    assert hear(memory, question)["level"] == "30"


def test_a_device_refuses_what_it_does_not_know_and_hears_nothing_else() -> None:
    other = Message(topic="ask/0042", payload=json.dumps({"op": OPERATION, "part": "pump"}).encode())
    assert hear({}, other) == {"topic": "asked", "who": DEVICE, "op": OPERATION, "ok": "no"}
    assert SIMULATED_RESPONSE.obey(DEVICE, {}, replace(other, topic="ask/0043")) == ()
    assert SIMULATED_RESPONSE.obey(DEVICE, {}, replace(other, payload=b"\xff{")) == ()


@pytest.mark.parametrize(
    ("found", "wrong"),
    [
        ("30", ""),
        ("030", ""),
        ("31", "the device says '31', not 30"),
        ("", "the device says '', not 30"),
        ("\N{BENGALI DIGIT THREE}0", "the device says '\\u09e90', not 30"),
        ("9" * 5_000, f"the device says '{'9' * 20}', not 30"),
    ],
)
def test_what_is_read_back_is_compared(found: str, wrong: str) -> None:
    assert LEVEL.read_back is not None
    answer = Answer(device_id=DEVICE, operation=OPERATION, ok=True, values={"level": found})
    assert LEVEL.read_back.problem({"level": 30}, answer) == wrong


def test_an_answer_is_read() -> None:
    body = {"who": DEVICE, "op": OPERATION, "ok": "no", "why": "busy", "level": "3", "number": 4}
    answer = LEVEL.read_answer(Frame(topic="set-done", payload=json.dumps(body).encode()))
    assert answer == Answer(
        device_id=DEVICE, operation=OPERATION, ok=False, values={"level": "3"}, detail="ok no: busy"
    )


@pytest.mark.parametrize(
    ("payload", "reason"),
    [(b"{}", "no-id"), (b'{"who": "a\\u0000", "op": "x"}', "no-id"), (b'{"who": "a", "op": 1}', "no-operation"),
     (b"[]", "not-object"), (b"\xff", "not-utf8")],
)  # fmt: skip
def test_what_is_no_answer_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        LEVEL.read_answer(Frame(topic="set-done", payload=payload))
    assert caught.value.reason == reason


def test_topics_end_in_something_of_the_device() -> None:
    with pytest.raises(DeclarationError, match="tail"):
        replace(VALVES, tail=0)
