"""Blocks of registers, as a declaration: which registers one request reads, and which values lie in them.

What belongs here: the declaration, and the request that follows from it. What does not: how values are read from the
bytes of an answer (`value`), what is asked when (`poll`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from fractions import Fraction
from functools import cached_property
from struct import Struct

from greenpower.datatype import DeclarationError
from greenpower.framing.modbus import BIT_READS, MAX_REGISTERS, ReadRequest

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
#: the layout of coils and discrete inputs
BIT = "bit"
ORDERS = ("big", "little")
Factor = int | float | str | Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterPoint:
    """One value in a block, by its place.

    field: its name. register: number of its first register, from 1. layout: one of LAYOUTS. factor: what a count of the
    registers is in the field's unit. scale: number of the register with the power of ten to multiply by, an int16, in
    any block of the same unit and function. not_implemented: numbers, as the registers hold them without a sign by
    which a device says that it has no such value. bit: the lowest bit, where the value is `bits` bits of a number.
    """

    field: str
    register: int
    layout: str = "uint16"
    factor: Factor = 1
    scale: int | None = None
    not_implemented: tuple[int, ...] = ()
    bit: int | None = None
    bits: int = 1

    def __post_init__(self) -> None:
        check_layout(self.layout, LAYOUTS)
        ratio(self.factor)
        if self.bit is not None and not (0 <= self.bit < self.bit + self.bits <= 8 * self.size):
            raise DeclarationError(f"{self.field}: bits {self.bit} to {self.bit + self.bits - 1} are not in it")
        if self.bit is not None and self.layout in ("float32", "float64"):
            raise DeclarationError(f"{self.field}: a {self.layout} has no bits")

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return Struct(LAYOUTS[self.layout]).size

    @property
    def end(self) -> int:
        """The number of the first register behind it."""
        return self.register + self.size // 2


@dataclass(frozen=True, kw_only=True)
class Block:
    """Neighbouring registers that one request reads.

    register: number of the first as manuals count them, from 1. layout: how each value lies, one of LAYOUTS; `bit` with
    the functions 1 and 2. fields: the name of each value in order, "" for one of no interest. points: values by their
    places, in place of layout and fields. factor: what a count of the registers is in the field's unit ("0.1" for
    tenths); divisor: the same the other way round, 10 for tenths. word_order, byte_order: `little` where the low word,
    or the low byte of a word, comes first. not_implemented: as of a `RegisterPoint`. unit, function: of the request.
    transaction: its id, None to number it. suffix: put behind the device's id where these values are a device of their
    own.
    """

    register: int
    layout: str = ""
    fields: tuple[str, ...] = ()
    points: tuple[RegisterPoint, ...] = ()
    divisor: int = 1
    factor: Factor = 1
    word_order: str = "big"
    byte_order: str = "big"
    not_implemented: tuple[int, ...] = ()
    unit: int = 1
    function: int = 3
    transaction: int | None = None
    suffix: str = ""

    def __post_init__(self) -> None:
        if not self.points:
            check_layout(self.layout, (BIT,) if self.function in BIT_READS else LAYOUTS)
        elif self.fields or self.layout:
            raise DeclarationError(f"block at register {self.register}: give points, or layout and fields")
        elif self.function in BIT_READS:
            raise DeclarationError(f"block at register {self.register}: coils and inputs have no points")
        elif min(point.register for point in self.points) < self.register:
            raise DeclarationError(f"block at register {self.register}: a point lies before it")
        if self.divisor < 1:
            raise DeclarationError(f"block at register {self.register}: divisor {self.divisor} is not above 0")
        if ratio(self.factor) != 1 and self.divisor != 1:
            raise DeclarationError(f"block at register {self.register}: give factor or divisor, not both")
        for name, order in (("word_order", self.word_order), ("byte_order", self.byte_order)):
            if order not in ORDERS:
                raise DeclarationError(f"{name} {order!r} is none of {', '.join(ORDERS)}")
        if not any(self.names):
            raise DeclarationError(f"block at register {self.register}: it names no field")
        if not re.fullmatch("[!-~]{0,16}", self.suffix):
            raise DeclarationError(f"suffix {self.suffix!r} is not up to 16 printable ASCII")

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its values, "" for one of no interest."""
        return tuple(point.field for point in self.points) or self.fields

    @cached_property
    def values(self) -> Struct:
        """All values of a block of one layout, big-endian."""
        return Struct(f">{len(self.fields)}{LAYOUTS[self.layout]}")

    @property
    def count(self) -> int:
        """How many registers it reads, or bits; those of the scales of its points that lie near it included."""
        if self.function in BIT_READS:
            return len(self.fields)
        if not self.points:
            return self.values.size // 2
        ends = [point.end for point in self.points]
        near = range(self.register, self.register + MAX_REGISTERS)
        ends += [point.scale + 1 for point in self.points if point.scale is not None and point.scale in near]
        return max(ends) - self.register

    def request(self, number: int) -> ReadRequest:
        """What reads the block; `number` becomes the transaction id where it has none."""
        return ReadRequest(
            transaction=number if self.transaction is None else self.transaction,
            unit=self.unit,
            register=self.register,
            count=self.count,
            function=self.function,
        )


def check_layout(layout: str, known: tuple[str, ...] | dict[str, str]) -> None:
    """Raises DeclarationError for a layout that is none of those known."""
    if layout not in known:
        raise DeclarationError(f"layout {layout!r} is none of {', '.join(known)}")


def ratio(factor: Factor) -> Fraction:
    """A factor, exactly: 0.1 is a tenth, however it is written. Raises DeclarationError where it is none, or 0."""
    try:
        found = Fraction(Decimal(repr(factor) if isinstance(factor, float) else factor))
    except (InvalidOperation, ValueError, OverflowError, TypeError):
        found = Fraction(0)
    if not found:
        raise DeclarationError(f"factor {factor!r} is no number but 0")
    return found
