"""Declared JSON commands: their messages, answers and simulated devices."""

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


def reply(memory: dict[str, str], message: Message) -> dict[str, Any]:
    (answer,) = SIMULATED_RESPONSE.obey(DEVICE, memory, message)
    found: dict[str, Any] = {"topic": answer.topic, **json.loads(answer.payload)}
    return found


def test_a_command_is_filled_in() -> None:
    message = LEVEL.build(order(level=30))
    assert message.topic == "set/0042"
    assert json.loads(message.payload) == {"op": OPERATION, "part": "valve", "level": "30", "since": "1639"}
    assert LEVEL.answers == ("set-done", "asked")


def test_a_simulated_device_stores_settings_and_reports_them() -> None:
    assert SIMULATED_RESPONSE.topics(DEVICE) == ("set/0042", "ask/0042")
    assert LEVEL.read_back is not None
    memory: dict[str, str] = {}
    question = LEVEL.read_back.build(order())
    assert reply(memory, question) == {"topic": "asked", "who": DEVICE, "op": OPERATION, "ok": "yes", "level": "10"}
    assert reply(memory, LEVEL.build(order(level=30))) == {
        "topic": "set-done", "who": DEVICE, "op": OPERATION, "ok": "yes",
    }  # fmt: skip
    assert reply(memory, question)["level"] == "30"


def test_a_simulated_device_fails_unknown_commands_and_ignores_other_topics() -> None:
    other = Message(topic="ask/0042", payload=json.dumps({"op": OPERATION, "part": "pump"}).encode())
    assert reply({}, other) == {"topic": "asked", "who": DEVICE, "op": OPERATION, "ok": "no"}
    assert SIMULATED_RESPONSE.obey(DEVICE, {}, replace(other, topic="ask/0043")) == ()
    assert SIMULATED_RESPONSE.obey(DEVICE, {}, replace(other, payload=b"\xff{")) == ()


@pytest.mark.parametrize(
    ("found", "quoted"),
    [
        ("30", None),
        ("030", None),
        ("31", "'31'"),
        ("", "''"),
        ("\N{BENGALI DIGIT THREE}0", "'\\u09e90'"),
        ("9" * 5_000, f"'{'9' * 20}'"),
    ],
)
def test_a_read_back_is_compared(found: str, quoted: str | None) -> None:
    assert LEVEL.read_back is not None
    answer = Answer(device_id=DEVICE, operation=OPERATION, ok=True, values={"level": found})
    problem = LEVEL.read_back.problem({"level": 30}, answer)
    assert problem == "" if quoted is None else all(word in problem for word in (quoted, "level", "'30'"))


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
def test_a_bad_answer_is_refused(payload: bytes, reason: str) -> None:
    with pytest.raises(FrameError) as caught:
        LEVEL.read_answer(Frame(topic="set-done", payload=payload))
    assert caught.value.reason == reason


def test_a_topic_ends_with_part_of_the_device_id() -> None:
    with pytest.raises(DeclarationError, match="tail=0"):
        replace(VALVES, tail=0)
