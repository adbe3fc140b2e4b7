"""Commands as JSON over MQTT, declared: the format that all messages of a device share, and each command.

What belongs here: devices that take a flat JSON object on a topic of their own, and answer on a topic that all share,
repeating the id of the operation. What does not: other protocols; their `Command` has functions of its own.
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

SHOWN_CHARACTERS = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonCommand:
    """One message to a device.

    topic: the beginning of the device's topic. answer: the topic of its answer. body: keys and texts, in which `{name}`
    stands for a parameter and `{at:…}` for the time of the order. asks: of a question, the keys of its answer that hold
    what was set, each with the value that a simulated device starts with.
    """

    topic: str
    answer: str
    body: Mapping[str, str] = field(default_factory=dict)
    asks: Mapping[str, str] = field(default_factory=dict)

    @property
    def fixed(self) -> dict[str, str]:
        """The part of the body that is always the same. A question and what sets the answer share it."""
        return {key: text for key, text in self.body.items() if "{" not in text}


@dataclass(frozen=True, slots=True, kw_only=True)
class JsonCommandFormat:
    """What all JSON commands of a kind of device have in common.

    operation: the key of the operation's id. device, code, detail: the keys in an answer of the device's id, the result
    and the device's own text. done, failed: the values of `code`. tail: how many last characters of the device's id end
    its topics. Raises DeclarationError.
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
            raise DeclarationError("tail: a device's topics end in at least one character of its id")

    def command(
        self, name: str, title: str, sent: JsonCommand, check: JsonCommand | None = None, **options: Any
    ) -> Command:
        """A command that is one message. check: the question that reads back what was set. options: the rest of
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
        """Simulated devices that understand these commands: they keep what is set and answer questions about it."""
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
            raise FrameError("no-id", "an answer of nobody")
        if not isinstance(operation, str):
            raise FrameError("no-operation", "an answer to nothing")
        texts = {key: value for key, value in values.items() if isinstance(value, str)}
        code, said = texts.pop(self.code, ""), texts.pop(self.detail, "")
        detail = f"{self.code} {code}" + (f": {said}" if said else "")
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
        self, commands: tuple[JsonCommand, ...], device_id: str, memory: dict[str, str], told: Message
    ) -> tuple[Message, ...]:
        heard = [command for command in commands if self._topic(command, device_id) == told.topic]
        try:
            asked = {key: str(value) for key, value in decode_object(told.payload).items()}
        except FrameError:
            return ()
        body = {self.device: device_id, self.operation: asked.get(self.operation, "")}
        for command in heard:
            if command.fixed.items() <= asked.items():
                told_of = command.body.keys() - command.fixed.keys()
                memory.update({_slot(command, key): asked.get(key, "") for key in told_of})
                said = {key: memory.get(_slot(command, key), first) for key, first in command.asks.items()}
                return _said(command, {**body, **said, self.code: self.done})
        return _said(heard[0], {**body, self.code: self.failed}) if heard else ()


def _said(command: JsonCommand, body: Mapping[str, str]) -> tuple[Message, ...]:
    return (Message(topic=command.answer, payload=json.dumps(body).encode()),)


def _slot(command: JsonCommand, key: str) -> str:
    """Where a simulated device keeps a value: the same for a question and for what sets the answer."""
    return " ".join((key, *sorted(command.fixed.values())))


def _problem(command: JsonCommand, check: JsonCommand, parameters: Mapping[str, Value], answer: Answer) -> str:
    """What is wrong with what was read back; empty where it is what was set."""
    for key in check.asks:
        wanted, found = command.body[key].format_map(parameters), answer.values.get(key, "")
        if _number(found) != _number(wanted):
            return f"the device says {found[:SHOWN_CHARACTERS]!a}, not {wanted}"
    return ""


def _number(text: str) -> int | str:
    """As a number where it is one: devices write `030` for `30`."""
    return int(text[:SHOWN_CHARACTERS]) if text.isascii() and text.isdecimal() else text
