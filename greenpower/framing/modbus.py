"""Modbus TCP on the wire: requests that read registers or bits, and the answers to them.

    request   | transaction 2 | 0 0 | length 2 = 6 | unit 1 | function 1      | address 2 | count 2
    answer    | transaction 2 | 0 0 | length 2     | unit 1 | function 1      | size 1    | data
    exception | transaction 2 | 0 0 | length 2 = 3 | unit 1 | function + 0x80 | code 1

What belongs here: the bytes, both ways. What does not: the same over a serial line (`rtu`), what
registers mean (`poll`), when to ask (`dialogue`, `rounds`).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from greenpower.datatype import DeclarationError

READS = {1: "coils", 2: "discrete inputs", 3: "holding registers", 4: "input registers"}
#: the functions that read single bits
BIT_READS = frozenset({1, 2})
MAX_REGISTERS = 125
MAX_BITS = 2000
FRAME_HEAD = struct.Struct(">HHHBB")
#: what comes before the registers of an answer: the head, and their size
ANSWER_HEAD_BYTES = FRAME_HEAD.size + 1
EXCEPTIONS = {
    1: "illegal function",
    2: "illegal data address",
    3: "illegal data value",
    4: "device failure",
    5: "acknowledge",
    6: "device busy",
    8: "memory parity error",
    10: "gateway path unavailable",
    11: "gateway target did not respond",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadRequest:
    """A request to read registers, or bits where the function is one of BIT_READS.

    register: the number of the first as manuals count them, from 1 (on the wire its address, from 0). Since a request
    is known to the last byte, so is the beginning of its answer: nothing else is taken for one.
    """

    transaction: int
    unit: int
    register: int
    count: int
    function: int = 3

    def __post_init__(self) -> None:
        if not 0 <= self.transaction <= 0xFFFF:
            raise DeclarationError(f"transaction {self.transaction} is not 0 to 65535")
        if not 0 <= self.unit <= 255:
            raise DeclarationError(f"unit {self.unit} is not 0 to 255")
        if self.function not in READS:
            raise DeclarationError(f"function {self.function} is none of {', '.join(map(str, READS))}")
        most, what = (MAX_BITS, "bits") if self.function in BIT_READS else (MAX_REGISTERS, "registers")
        if not 1 <= self.count <= most:
            raise DeclarationError(f"{self.count} {what}: a request reads 1 to {most}")
        if not 1 <= self.register <= 0x10000 - self.count + 1:
            raise DeclarationError(
                f"registers {self.register} to {self.register + self.count - 1} are not in 1 to 65536"
            )

    @property
    def key(self) -> tuple[int, int, int, int]:
        """What is asked of whom: unit, function, register, count."""
        return self.unit, self.function, self.register, self.count

    @property
    def data_size(self) -> int:
        """How many bytes of values an answer carries."""
        return (self.count + 7) // 8 if self.function in BIT_READS else 2 * self.count

    @property
    def encoded(self) -> bytes:
        """The request as sent, 12 bytes."""
        head = FRAME_HEAD.pack(self.transaction, 0, 6, self.unit, self.function)
        return head + struct.pack(">HH", self.register - 1, self.count)

    @property
    def answer_head(self) -> bytes:
        """The first 9 bytes of an answer; `answer_size` bytes are the whole."""
        size = self.data_size
        return FRAME_HEAD.pack(self.transaction, 0, 3 + size, self.unit, self.function) + bytes([size])

    @property
    def answer_size(self) -> int:
        """The length of an answer."""
        return ANSWER_HEAD_BYTES + self.data_size

    @property
    def exception_size(self) -> int:
        """The length of an exception."""
        return FRAME_HEAD.size + 1

    @property
    def exception_head(self) -> bytes:
        """The first 8 bytes of an exception; the code follows."""
        return FRAME_HEAD.pack(self.transaction, 0, 3, self.unit, self.function | 0x80)

    def is_whole(self, message: bytes) -> bool:
        """Whether an answer or exception of the right length came as it was sent; TCP sees to that itself."""
        return True

    def data(self, answer: bytes) -> bytes:
        """The values' bytes in an answer."""
        return answer[ANSWER_HEAD_BYTES:]

    def answer(self, registers: bytes) -> bytes:
        """The answer that carries these registers' bytes. Raises ValueError where they are not as many."""
        if len(registers) != self.data_size:
            raise ValueError(f"{len(registers)} bytes for {self.count} registers")
        return self.answer_head + registers

    def exception(self, code: int) -> bytes:
        """The exception of a code."""
        return self.exception_head + bytes([code])

    def __str__(self) -> str:
        last = self.register + self.count - 1
        return f"unit {self.unit}, {READS[self.function]} {self.register} to {last}"


def describe(data: bytes) -> str:
    """What bytes that are no answer to anything asked look like, for a person."""
    if len(data) >= FRAME_HEAD.size:
        transaction, protocol, length, unit, function = FRAME_HEAD.unpack_from(data)
        if protocol == 0 and 3 <= length <= 254:
            return (
                f"transaction {transaction:#06x}, unit {unit}, function {function:#04x}, length {length}: not asked for"
            )
    return f"{len(data)} bytes: {data[:16].hex(' ')}" + (" …" if len(data) > 16 else "")


def exception_name(code: int) -> str:
    """A Modbus exception code in words."""
    return f"{EXCEPTIONS.get(code, 'exception')} ({code})"
