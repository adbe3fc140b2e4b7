"""Declared commands as JSON over MQTT: the common format of all messages of a device, and each command.

What belongs here: devices that receive a flat JSON object on their own topic, and answer on a shared topic with the id
of the operation. What does not: other protocols; their `Command` has its own functions.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from greenpower.datatype.claim import is_device_id
from greenpower.datatype.command import Answer, Command, Message, Order, ReadBack, SimulatedResponse, Value
from greenpower.datatype.deprecated import warn_renamed
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.frame import Frame
from greenpower.datatype.json import decode_object

MAX_QUOTED_CHARACTERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonCommand:
    """One message to a device.

    topic: the beginning of the device's topic. answer: the topic of the answer. body: keys and texts; in a text,
    `{name}` stands for a parameter and `{at:…}` for the time of the order. asks: for a question, the keys of the answer
    that hold the current settings, each with the initial value of a simulated device.
    """

    topic: str
    answer: str
    body: Mapping[str, str] = field(default_factory=dict)
    asks: Mapping[str, str] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, str]:
        """The constant part of the body. A command and the question that reads it back have the same."""
        return {key: text for key, text in self.body.items() if "{" not in text}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonCommandFormat:
    """The common format of all JSON commands of a type of device.

    operation: the key of the operation's id. device, code, detail: the keys of an answer for the device id, the result
    and the device's own text. done, failed: the values of `code`. tail: how many characters from the end of the device
    id a topic of the device ends with. Raises DeclarationError.
    """

    operation: str
    device: str
    code: str
    done: str
    failed: str
    detail: str
    tail: int

    def __post_init__(self) -> None:
        if self.tail < 1:
            raise DeclarationError(f"tail={self.tail} is not 1 or more: the topics of a device end with part of its id")

    def command(
        self, name: str, title: str, sent: JsonCommand, check: JsonCommand | None = None, **options: Any
    ) -> Command:
        """A command of one message. check: the question that reads back what was set. options: other arguments of
        `Command`. Raises DeclarationError."""
        read_back = None
        if check is not None:
            problem = partial(_problem, sent, check)
            read_back = ReadBack(build=partial(self._build, check), answer=check.answer, problem=problem)
        return Command(
            name=name,
            title=title,
            build=partial(self._build, sent),
            answer=sent.answer,
            read_answer=self.read_answer,
            read_back=read_back,
            **options,
        )

    def simulated_response(self, commands: Iterable[JsonCommand]) -> SimulatedResponse:
        """The response of simulated devices to these commands: they store settings and answer questions about them."""
        known = tuple(commands)
        return SimulatedResponse(topics=partial(self._topics, known), obey=partial(self._obey, known))

    def obedience(self, commands: Iterable[JsonCommand]) -> SimulatedResponse:
        """The old name of `simulated_response`."""
        warn_renamed("obedience()", "simulated_response()")
        return self.simulated_response(commands)

    def read_answer(self, frame: Frame) -> Answer:
        """The answer in a frame. Raises FrameError: what `decode_object` raises, no-id, no-operation."""
        values = decode_object(frame.payload)
        device, operation = values.pop(self.device, None), values.pop(self.operation, None)
        if not is_device_id(device):
            raise FrameError("no-id", f"no valid device id under the key {self.device!r}")
        if not isinstance(operation, str):
            raise FrameError("no-operation", f"no operation id under the key {self.operation!r}")
        texts = {key: value for key, value in values.items() if isinstance(value, str)}
        code, text = texts.pop(self.code, ""), texts.pop(self.detail, "")
        detail = f"{self.code} {code}" + (f": {text}" if text else "")
        return Answer(device_id=device, operation=operation, ok=code == self.done, values=texts, detail=detail)

    def _topic(self, command: JsonCommand, device_id: str) -> str:
        return command.topic + device_id[-self.tail :]

    def _build(self, command: JsonCommand, order: Order) -> Message:
        known = {**order.parameters, "at": order.at}
        body = {self.operation: order.operation, **{key: text.format_map(known) for key, text in command.body.items()}}
        return Message(topic=self._topic(command, order.device_id), payload=json.dumps(body).encode())

    def _topics(self, commands: tuple[JsonCommand, ...], device_id: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._topic(command, device_id) for command in commands))

    def _obey(
        self, commands: tuple[JsonCommand, ...], device_id: str, memory: dict[str, str], message: Message
    ) -> tuple[Message, ...]:
        matching = [command for command in commands if self._topic(command, device_id) == message.topic]
        try:
            received = {key: str(value) for key, value in decode_object(message.payload).items()}
        except FrameError:
            return ()
        body = {self.device: device_id, self.operation: received.get(self.operation, "")}
        for command in matching:
            if command.fixed.items() <= received.items():
                settings = command.body.keys() - command.fixed.keys()
                memory.update({_memory_key(command, key): received.get(key, "") for key in settings})
                values = {key: memory.get(_memory_key(command, key), first) for key, first in command.asks.items()}
                return _reply(command, {**body, **values, self.code: self.done})
        return _reply(matching[0], {**body, self.code: self.failed}) if matching else ()


def _reply(command: JsonCommand, body: Mapping[str, str]) -> tuple[Message, ...]:
    return (Message(topic=command.answer, payload=json.dumps(body).encode()),)


def _memory_key(command: JsonCommand, key: str) -> str:
    """The key of a setting in a simulated device's memory; the same for a command and for its question."""
    return " ".join((key, *sorted(command.fixed.values())))


def _problem(command: JsonCommand, check: JsonCommand, parameters: Mapping[str, Value], answer: Answer) -> str:
    """How the values that were read back differ from those that were set; empty if they do not."""
    for key in check.asks:
        wanted, found = command.body[key].format_map(parameters), answer.values.get(key, "")
        if _number(found) != _number(wanted):
            return f"{key} is {found[:MAX_QUOTED_CHARACTERS]!a} on the device, not {wanted!a}"
    return ""


def _number(text: str) -> int | str:
    """A text as a number if it is one: devices write `030` for `30`."""
    return int(text[:MAX_QUOTED_CHARACTERS]) if text.isascii() and text.isdecimal() else text
