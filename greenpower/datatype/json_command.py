"""Commands as JSON over MQTT, declared: how devices are spoken to, and what is said.

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
from greenpower.datatype.command import Answer, Command, Message, Obedience, Order, ReadBack, Value
from greenpower.datatype.error import DeclarationError, FrameError
from greenpower.datatype.frame import Frame
from greenpower.datatype.json import decode_object

SHOWN = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Phrase:
    """Something that is said to a device.

    topic: what the device's topic begins with. answer: the topic of its answer. body: keys and texts, in which `{name}`
    stands for a parameter and `{at:…}` for the time of the order. asks: of a question, the keys of its answer that hold
    what was set, with what a simulated device says before anything was.
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
class JsonDialect:
    """What is the same in all that is said.

    operation, device, code, detail: keys of the operation's id, and in an answer of the device's id, of how it went and
    of the device's own words. done, failed: what `code` says. tail: that many last characters of a device's id end its
    topics. Raises DeclarationError.
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

    def command(self, name: str, title: str, phrase: Phrase, check: Phrase | None = None, **options: Any) -> Command:
        """A command that is said in one phrase. check: the question that reads back what was set. options: the rest of
        `Command`. Raises DeclarationError."""
        read_back = None
        if check is not None:
            problem = partial(_problem, phrase, check)
            read_back = ReadBack(build=partial(self._build, check), answer=check.answer, problem=problem)
        return Command(
            name=name,
            title=title,
            build=partial(self._build, phrase),
            answer=phrase.answer,
            read_answer=self.read_answer,
            read_back=read_back,
            **options,
        )

    def obedience(self, phrases: Iterable[Phrase]) -> Obedience:
        """Simulated devices that understand these phrases: they keep what is set and say it when asked."""
        known = tuple(phrases)
        return Obedience(topics=partial(self._topics, known), obey=partial(self._obey, known))

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

    def _topic(self, phrase: Phrase, device_id: str) -> str:
        return phrase.topic + device_id[-self.tail :]

    def _build(self, phrase: Phrase, order: Order) -> Message:
        known = {**order.parameters, "at": order.at}
        body = {self.operation: order.operation, **{key: text.format_map(known) for key, text in phrase.body.items()}}
        return Message(topic=self._topic(phrase, order.device_id), payload=json.dumps(body).encode())

    def _topics(self, phrases: tuple[Phrase, ...], device_id: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(self._topic(phrase, device_id) for phrase in phrases))

    def _obey(
        self, phrases: tuple[Phrase, ...], device_id: str, memory: dict[str, str], told: Message
    ) -> tuple[Message, ...]:
        heard = [phrase for phrase in phrases if self._topic(phrase, device_id) == told.topic]
        try:
            asked = {key: str(value) for key, value in decode_object(told.payload).items()}
        except FrameError:
            return ()
        body = {self.device: device_id, self.operation: asked.get(self.operation, "")}
        for phrase in heard:
            if phrase.fixed.items() <= asked.items():
                told_of = phrase.body.keys() - phrase.fixed.keys()
                memory.update({_slot(phrase, key): asked.get(key, "") for key in told_of})
                said = {key: memory.get(_slot(phrase, key), first) for key, first in phrase.asks.items()}
                return _said(phrase, {**body, **said, self.code: self.done})
        return _said(heard[0], {**body, self.code: self.failed}) if heard else ()


def _said(phrase: Phrase, body: Mapping[str, str]) -> tuple[Message, ...]:
    return (Message(topic=phrase.answer, payload=json.dumps(body).encode()),)


def _slot(phrase: Phrase, key: str) -> str:
    """Where a simulated device keeps a value: the same for a question and for what sets the answer."""
    return " ".join((key, *sorted(phrase.fixed.values())))


def _problem(phrase: Phrase, check: Phrase, parameters: Mapping[str, Value], answer: Answer) -> str:
    """What is wrong with what was read back; empty where it is what was set."""
    for key in check.asks:
        wanted, found = phrase.body[key].format_map(parameters), answer.values.get(key, "")
        if _number(found) != _number(wanted):
            return f"the device says {found[:SHOWN]!a}, not {wanted}"
    return ""


def _number(text: str) -> int | str:
    """As a number where it is one: devices write `030` for `30`."""
    return int(text[:SHOWN]) if text.isascii() and text.isdecimal() else text
