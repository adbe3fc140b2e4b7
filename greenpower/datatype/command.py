"""What can be said to a device: the commands of a data type, how each is written, and how its answer is read.

What belongs here: declarations and the records that pass through their pure functions. What does not: who may give a
command, when it is sent and what became of it (`greenpower.control`).
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
from greenpower.datatype.unit import UNITS

NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
#: what answers and read-backs are matched by: made here, sent with the command, repeated in the answer
OPERATION = re.compile(r"[0-9a-f]{32}")
NOTED = "answer to a command"
LONGEST_EXPIRY = 3_600

Value = int | bool | str


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of a command.

    kind: what its values are. unit: one of `UNITS`. low, high: limits of an integer. choices: the only values.
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
            raise DeclarationError(f"parameter {self.name!r}: a name is a-z, 0-9 and _, starting with a letter")
        if self.unit not in UNITS:
            raise DeclarationError(f"parameter {self.name!r}: unknown unit {self.unit!r}")
        if self.kind == "text" and not self.choices:
            raise DeclarationError(f"parameter {self.name!r}: a text needs its choices")
        if self.kind == "integer" and not self.choices and (self.low is None or self.high is None):
            raise DeclarationError(f"parameter {self.name!r}: an integer needs low and high, or its choices")
        if wrong := [value for value in self.choices if not self._is_kind(value)]:
            raise DeclarationError(f"parameter {self.name!r}: {wrong[0]!r} is no {self.kind}")

    def _is_kind(self, value: object) -> TypeGuard[Value]:
        return type(value) is {"integer": int, "boolean": bool, "text": str}[self.kind]

    def problem(self, value: object) -> str:
        """What is wrong with a value; empty where nothing is."""
        if not self._is_kind(value):
            return f"Not of the kind {self.kind}."
        if self.choices and value not in self.choices:
            return f"Not one of {', '.join(map(str, self.choices))}."
        if isinstance(value, int) and not (self.low is None or value >= self.low):
            return f"Not {self.low} or more."
        if isinstance(value, int) and not (self.high is None or value <= self.high):
            return f"Not {self.high} or less."
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command that is about to be sent. operation: its id on the wire. at: now, in the device's zone."""

    device_id: str
    operation: str
    at: datetime
    parameters: Mapping[str, Value]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """What goes over MQTT."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a device said. ok: whether it did as told. values: what else the answer holds. detail: its own words."""

    device_id: str
    operation: str
    ok: bool
    values: Mapping[str, str] = field(default_factory=dict)
    detail: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadBack:
    """How a command is verified: a second message asks for what was set.

    build: pure, as of `Command`. answer: the topic that it is answered on. problem: given the parameters and the
    answer, what is wrong; empty where the device has what it was told.
    """

    build: Callable[[Order], Message]
    answer: str
    problem: Callable[[Mapping[str, Value], Answer], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """A command that devices of a type take.

    name: lower-case identifier; title: for people. build: pure, from an order to the message. answer: the topic on
    which devices answer. read_answer: pure and total, an answer or FrameError; of read-backs too. read_back: None where
    the protocol cannot. role: the least that may give it. expires_after: seconds in which it must be done. interlock:
    whether it moves something in the world, so that it is confirmed first, sent at most once, and off until the site
    lets it. sets_clock: whether it sets the device's clock to `Order.at`. Raises DeclarationError.
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
            raise DeclarationError(f"command {self.name!r}: a name is a-z, 0-9 and _, and it needs a title")
        if not 1 <= self.expires_after <= LONGEST_EXPIRY:
            raise DeclarationError(f"command {self.name!r}: expires_after is 1 to {LONGEST_EXPIRY} seconds")
        names = [parameter.name for parameter in self.parameters]
        if len(set(names)) < len(names):
            raise DeclarationError(f"command {self.name!r}: duplicate parameter")
        if any(not Mqtt(topic).is_exact for topic in self.answers):
            raise DeclarationError(f"command {self.name!r}: an answer topic is one topic, not a pattern")

    @property
    def answers(self) -> tuple[str, ...]:
        """The topics of its answers."""
        return (self.answer,) if self.read_back is None else (self.answer, self.read_back.answer)

    def examples(self) -> Iterator[dict[str, Value]]:
        """Parameters that may be given: each choice, and each end, of each parameter comes in one of them."""
        columns = []
        for parameter in self.parameters:
            ends = {"boolean": (False, True), "integer": (parameter.low, parameter.high), "text": ()}[parameter.kind]
            columns.append(parameter.choices or tuple(value for value in ends if value is not None))
        for row in zip_longest(*columns) if columns else [()]:
            values = [column[0] if value is None else value for column, value in zip(columns, row, strict=True)]
            yield {parameter.name: value for parameter, value in zip(self.parameters, values, strict=True)}

    def problems(self, parameters: Mapping[str, Any]) -> dict[str, list[str]]:
        """What is wrong with parameters as a caller gave them, by name; empty where nothing is."""
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

    topics: those that a device listens to, from its id. obey: the answers of a device, from its id, its memory (kept
    between calls) and a message.
    """

    topics: Callable[[str], tuple[str, ...]]
    obey: Callable[[str, dict[str, str], Message], tuple[Message, ...]]
