"""What is asked of the meters behind a gateway, as a declaration: blocks of registers, and the values in them.

What belongs here: the declaration, the requests that follow from it, and how a round of answers is read. What does not:
the dialogue with the gateway (`dialogue`).
"""

from __future__ import annotations

import re
import struct
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from greenpower.datatype import DeclarationError, Frame, FrameError, Reading, Tcp
from greenpower.framing.dialogue import PollDialogue
from greenpower.framing.modbus import ReadRequest, describe

#: layouts of values, big-endian, with the code that `struct` has for them
LAYOUTS = {
    "int16": "h",
    "uint16": "H",
    "int32": "i",
    "uint32": "I",
    "int64": "q",
    "uint64": "Q",
    "float32": "f",
    "float64": "d",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Block:
    """Neighbouring registers that one request reads.

    register: number of the first as manuals count them, from 1. layout: how each value lies, one of LAYOUTS. fields:
    the name of each value in order, "" for one of no interest. divisor: how many of what registers count are one of the
    field's unit: 10 for tenths, 1000 for W where it is kW. unit, function: of the request. transaction: its id, None to
    number it. suffix: put behind the gateway's id where these values are a device of their own.
    """

    register: int
    layout: str
    fields: tuple[str, ...]
    divisor: int = 1
    unit: int = 1
    function: int = 3
    transaction: int | None = None
    suffix: str = ""

    def __post_init__(self) -> None:
        if self.layout not in LAYOUTS:
            raise DeclarationError(f"layout {self.layout!r} is none of {', '.join(LAYOUTS)}")
        if self.divisor < 1:
            raise DeclarationError(f"block at register {self.register}: divisor {self.divisor} is not above 0")
        if not any(self.fields):
            raise DeclarationError(f"block at register {self.register}: it names no field")
        if not re.fullmatch("[!-~]{0,16}", self.suffix):
            raise DeclarationError(f"suffix {self.suffix!r} is not up to 16 printable ASCII")

    @property
    def values(self) -> struct.Struct:
        """All values of the block."""
        return struct.Struct(f">{len(self.fields)}{LAYOUTS[self.layout]}")

    def request(self, number: int) -> ReadRequest:
        """What reads the block; `number` becomes the transaction id where it has none."""
        transaction = number if self.transaction is None else self.transaction
        count = self.values.size // 2
        return ReadRequest(
            transaction=transaction, unit=self.unit, register=self.register, count=count, function=self.function
        )


class ModbusPoll:
    """Blocks read in turn, one per heartbeat. The answers of one pass over all are a frame, and this is its parser.

    timeout: seconds an answer may take. greatest_pause: seconds without questions at most, after answers that did not
    come. silence: seconds without a sign of life after which a connection is dead. Raises DeclarationError.
    """

    TIMES = ("timeout", "greatest_pause", "silence")

    def __init__(self, *blocks: Block, timeout: float = 10, greatest_pause: float = 300, silence: float = 300) -> None:
        self.blocks = blocks
        self.timeout = timeout
        self.greatest_pause = greatest_pause
        self.silence = silence
        if not blocks:
            raise DeclarationError("a poll needs a block")
        if min(timeout, greatest_pause, silence) <= 0:
            raise DeclarationError("timeout, greatest_pause and silence must be above 0 seconds")
        self.requests = tuple(block.request(number) for number, block in enumerate(blocks, 1))
        transactions = Counter(request.transaction for request in self.requests)
        if twice := [f"{number:#06x}" for number, count in transactions.items() if count > 1]:
            raise DeclarationError(f"two blocks have the transaction id {', '.join(twice)}")
        names = Counter((block.suffix, name) for block in blocks for name in block.fields if name)
        if twice := [name + suffix for (suffix, name), count in names.items() if count > 1]:
            raise DeclarationError(f"two registers are named {', '.join(twice)}")
        self._by_head = {
            request.answer_head: (number, block.values.unpack_from)
            for number, (request, block) in enumerate(zip(self.requests, blocks, strict=True))
        }

    @property
    def fields(self) -> frozenset[str]:
        """The names of all values."""
        return frozenset(name for block in self.blocks for name in block.fields if name)

    def dialogue(self, claim: Tcp) -> PollDialogue:
        """The dialogue for one connection."""
        return PollDialogue(
            claim,
            self.requests,
            timeout=self.timeout,
            greatest_pause=self.greatest_pause,
            silence=self.silence,
        )

    def __call__(self, frame: Frame) -> tuple[Reading, ...]:
        """Read a frame, the answers of one round one after the other: one reading per device, complete if all answered.

        Raises FrameError: no-id, bad-answer, cut-answer, answered-twice.
        """
        if frame.device is None:
            raise FrameError("no-id", "the gateway is not known")
        payload = frame.payload
        answers: dict[int, tuple[Any, ...]] = {}
        at = 0
        while at < len(payload) or not answers:
            known = self._by_head.get(payload[at : at + 9])
            if known is None:
                raise FrameError("bad-answer", describe(payload[at:]))
            number, unpack = known
            if number in answers:
                raise FrameError("answered-twice", str(self.requests[number]))
            end = at + self.requests[number].answer_size
            if end > len(payload):
                raise FrameError("cut-answer", f"{len(payload) - at} bytes: {self.requests[number]}")
            answers[number] = unpack(payload, at + 9)
            at = end
        return self._readings(frame.device, answers)

    def _readings(self, gateway: str, answers: dict[int, tuple[Any, ...]]) -> tuple[Reading, ...]:
        readings: dict[str, Reading] = {}
        for number, block in enumerate(self.blocks):
            if (values := answers.get(number)) is not None:
                if block.divisor != 1:
                    values = tuple(value / block.divisor for value in values)
                reading = readings.get(block.suffix)
                if reading is None:
                    reading = readings[block.suffix] = Reading(device_id=gateway + block.suffix, values={})
                reading.values.update((name, value) for name, value in zip(block.fields, values, strict=True) if name)
        for number, block in enumerate(self.blocks):
            if number not in answers and block.suffix in readings:
                readings[block.suffix].complete = False
        return tuple(readings.values())

    def answer(self, request: bytes, values: Mapping[str, float]) -> bytes:
        """What a meter with these values (field name -> number) answers to a request. Raises KeyError where it is none.

        For simulated devices: the inverse of the parser.
        """
        number = {item.encoded: number for number, item in enumerate(self.requests)}[request]
        block = self.blocks[number]
        whole = LAYOUTS[block.layout] not in "fd"
        numbers = [values.get(name, 0) * block.divisor for name in block.fields]
        return self.requests[number].answer(block.values.pack(*map(round, numbers) if whole else numbers))
