"""Commands to devices: the declaration of each, how its message is built, and how its answer is read.

What belongs here: declarations, and the records that their pure functions take and return. What does not: who may send
a command, when it is sent, and its state (`greenpower.control`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any, Literal, TypeGuard

from greenpower.datatype.claim import Mqtt
from greenpower.datatype.error import DeclarationError
from greenpower.datatype.frame import Frame
from greenpower.datatype.unit import unit_of

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
#: the id of a command on the wire; the answer repeats it, so that it can be matched
OPERATION = re.compile(r"[0-9a-f]{32}")
NOTED = "answer to a command"
MAX_EXPIRY_SECONDS = 3_600

Value = int | bool | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a command.

    kind: the type of its values. unit: one of `UNITS`. low, high: limits of an integer. choices: the allowed values.
    Raises DeclarationError.
    """

    name: str
    title: str = ""
    kind: Literal["integer", "boolean", "text"] = "integer"
    unit: str = "1"
    low: int | None = None
    high: int | None = None
    choices: tuple[Value, ...] = ()

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name):
            raise DeclarationError(
                f"parameter {self.name!r}: the name must be of a-z, 0-9 and _ and start with a letter"
            )
        try:
            unit_of(self.unit)
        except DeclarationError as error:
            raise DeclarationError(f"parameter {self.name!r}: {error}") from None
        if self.kind == "text" and not self.choices:
            raise DeclarationError(f"parameter {self.name!r}: kind text needs choices")
        if self.kind == "integer" and not self.choices and (self.low is None or self.high is None):
            raise DeclarationError(f"parameter {self.name!r}: kind integer needs low and high, or choices")
        if wrong := [value for value in self.choices if not self._is_kind(value)]:
            raise DeclarationError(f"parameter {self.name!r}: choice {wrong[0]!r} is not of kind {self.kind}")

    def _is_kind(self, value: object) -> TypeGuard[Value]:
        return type(value) is {"integer": int, "boolean": bool, "text": str}[self.kind]

    def problem(self, value: object) -> str:
        """What is wrong with a value; empty if nothing is."""
        if not self._is_kind(value):
            return f"Must be of type {self.kind}."
        if self.choices and value not in self.choices:
            return f"Must be one of {', '.join(map(str, self.choices))}."
        if isinstance(value, int) and not (self.low is None or value >= self.low):
            return f"Must be {self.low} or more."
        if isinstance(value, int) and not (self.high is None or value <= self.high):
            return f"Must be {self.high} or less."
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command to send. operation: its id on the wire. at: the time of sending, in the device's zone."""

    device_id: str
    operation: str
    at: datetime
    parameters: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An MQTT message."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """The answer of a device. ok: whether the command is done. values: its other values. detail: its own text."""

    device_id: str
    operation: str
    ok: bool
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """How a command is verified: a second message reads back what was set.

    build: pure, as in `Command`. answer: the topic of its answer. problem: what is wrong, from the parameters and the
    answer; empty if the device has the values that were set.
    """

    build: Callable[[Order], Message]
    answer: str
    problem: Callable[[Mapping[str, Value], Answer], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command to devices of a data type.

    name: lower-case identifier; title: for people. build: pure, makes the message from an order. answer: the topic of
    the answer. read_answer: pure; returns the answer, also to a read-back, or raises FrameError. read_back: None if the
    protocol has none. role: the lowest role that may send it. expires_after: seconds within which it must be done.
    interlock: whether it switches real equipment; such a command is confirmed first, sent at most once, and disabled
    until the site enables it. sets_clock: whether it sets the device's clock to `Order.at`. Raises DeclarationError.
    """

    name: str
    title: str
    build: Callable[[Order], Message]
    answer: str
    read_answer: Callable[[Frame], Answer]
    parameters: tuple[Parameter, ...] = ()
    read_back: ReadBack | None = None
    role: Literal["operator", "admin"] = "operator"
    expires_after: int = 60
    interlock: bool = False
    sets_clock: bool = False

    def __post_init__(self) -> None:
        if not NAME.fullmatch(self.name) or not self.title:
            raise DeclarationError(
                f"command {self.name!r}: it needs a title, and a name of a-z, 0-9 and _ that starts with a letter"
            )
        if not 1 <= self.expires_after <= MAX_EXPIRY_SECONDS:
            raise DeclarationError(
                f"command {self.name!r}: expires_after={self.expires_after} is not 1 to {MAX_EXPIRY_SECONDS} seconds"
            )
        names = [parameter.name for parameter in self.parameters]
        if repeated := [name for name in dict.fromkeys(names) if names.count(name) > 1]:
            raise DeclarationError(f"command {self.name!r}: duplicate parameter {repeated[0]!r}")
        if patterns := [topic for topic in self.answers if not Mqtt(topic).is_exact]:
            raise DeclarationError(f"command {self.name!r}: answer topic {patterns[0]!r} must not have a wildcard")

    @property
    def answers(self) -> tuple[str, ...]:
        """The topics of its answers."""
        return (self.answer,) if self.read_back is None else (self.answer, self.read_back.answer)

    def examples(self) -> Iterator[dict[str, Value]]:
        """Valid parameters. Together they have every choice and both limits of every parameter."""
        columns = []
        for parameter in self.parameters:
            ends = {"boolean": (False, True), "integer": (parameter.low, parameter.high), "text": ()}[parameter.kind]
            columns.append(parameter.choices or tuple(value for value in ends if value is not None))
        for row in zip_longest(*columns) if columns else [()]:
            values = [column[0] if value is None else value for column, value in zip(columns, row, strict=True)]
            yield {parameter.name: value for parameter, value in zip(self.parameters, values, strict=True)}

    def problems(self, parameters: Mapping[str, Any]) -> dict[str, list[str]]:
        """What is wrong with parameters from a caller, by name; empty if nothing is."""
        declared = {parameter.name: parameter for parameter in self.parameters}
        wrong = {name: ["Unknown field."] for name in parameters if name not in declared}
        for name, parameter in declared.items():
            text = parameter.problem(parameters[name]) if name in parameters else "Missing data for required field."
            if text:
                wrong[name] = [text]
        return wrong


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulatedResponse:
    """How simulated devices answer commands.

    topics: the topics that a device subscribes to, from its id. obey: the answers of a device, from its id, its memory
    (kept between calls) and a message.
    """

    topics: Callable[[str], tuple[str, ...]]
    obey: Callable[[str, dict[str, str], Message], tuple[Message, ...]]
