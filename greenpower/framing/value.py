"""Values in the bytes of an answer: word order, scale, factor, bits, and numbers that mean that there is no value.

What belongs here: reading the values of one block, and writing them for simulated devices. What does not: which blocks
there are (`block`), and which bytes are an answer (`poll`).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import lru_cache
from struct import Struct

from greenpower.framing.block import BIT, LAYOUTS, Block, RegisterPoint, ratio

RegisterNumber = int | float
#: the power of ten of a scale register of this block's unit and function; None where it is not known
Exponent = Callable[[int], int | None]
MAX_EXPONENT = 10
FLOATS = ("float32", "float64")
INT16 = Struct(">h")


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedValue:
    """One value of a block. order: the places of its bytes in the block's, most significant first."""

    point: RegisterPoint
    order: tuple[int, ...]
    code: Struct
    factor: Fraction

    def read(self, data: bytes, exponent: Exponent) -> RegisterNumber | None:
        """The value; None where the device has none, NaN where it cannot be told."""
        point = self.point
        raw = bytes([data[at] for at in self.order])
        if point.not_implemented and int.from_bytes(raw, "big") in point.not_implemented:
            return None
        if point.bit is not None:
            return int.from_bytes(raw, "big") >> point.bit & ((1 << point.bits) - 1)
        number: RegisterNumber
        (number,) = self.code.unpack(raw)
        factor = self.factor
        if point.scale is not None:
            power = exponent(point.scale)
            if power is None:
                return None
            if not -MAX_EXPONENT <= power <= MAX_EXPONENT:
                return math.nan
            factor = _at_scale(factor, power)
        return times(number, factor)

    def write(self, data: bytearray, value: RegisterNumber, power: int) -> None:
        """Put a value into the bytes of an answer. power: what its scale register says."""
        point = self.point
        raw = bytes([data[at] for at in self.order])
        if point.bit is not None:
            raw = (int.from_bytes(raw, "big") | int(value) << point.bit).to_bytes(len(raw), "big")
        else:
            raw = self.code.pack(self.count(value, power))
        for at, byte in zip(self.order, raw, strict=True):
            data[at] = byte

    def count(self, value: RegisterNumber, power: int) -> RegisterNumber:
        """What the registers hold for a value."""
        counted = Fraction(value) / self.factor / Fraction(10) ** power
        return float(counted) if self.point.layout in FLOATS else round(counted)

    def fits(self, value: RegisterNumber, power: int) -> bool:
        """Whether the registers can hold a value with this scale."""
        size = 8 * len(self.order) - (self.point.layout.startswith("int"))
        return self.point.layout in FLOATS or abs(self.count(value, power)) < 2**size - 1


def times(number: RegisterNumber, factor: Fraction) -> RegisterNumber:
    """The nearest float to the exact product; an integer times an integer is one."""
    if factor == 1 or number != number or number in (math.inf, -math.inf):
        return number
    if isinstance(number, float):
        return float(Fraction(Decimal(repr(number))) * factor)
    product = number * factor.numerator
    return product if factor.denominator == 1 else product / factor.denominator


@lru_cache(maxsize=4096)
def _at_scale(factor: Fraction, power: int) -> Fraction:
    return factor * Fraction(10) ** power


def placed(block: Block) -> tuple[PlacedValue, ...]:
    """The named values of a block of registers, each in its place."""
    points = block.points
    if not points:
        words = Struct(LAYOUTS[block.layout]).size // 2
        points = tuple(
            RegisterPoint(
                field=name, register=block.register + number * words, layout=block.layout, factor=block.factor,
                not_implemented=block.not_implemented,
            )
            for number, name in enumerate(block.fields)
            if name
        )  # fmt: skip
    found = []
    for point in points:
        start = 2 * (point.register - block.register)
        words_at = list(range(start, start + point.size, 2))
        if block.word_order == "little":
            words_at.reverse()
        order = [at + half for at in words_at for half in ((0, 1) if block.byte_order == "big" else (1, 0))]
        factor = ratio(point.factor) / block.divisor * (ratio(block.factor) if block.points else 1)
        code = Struct(">" + LAYOUTS[point.layout])
        found.append(PlacedValue(point=point, order=tuple(order), code=code, factor=factor))
    return tuple(found)


def is_plain(block: Block) -> bool:
    """Whether all values of a block can be read at once, as they lie."""
    return (
        block.layout != BIT and not block.points and not block.not_implemented and ratio(block.factor) == 1
        and block.word_order == block.byte_order == "big"
    )  # fmt: skip


def read_bits(data: bytes, names: tuple[str, ...]) -> dict[str, RegisterNumber]:
    """The values of coils or inputs, 0 or 1: the lowest bit of the first byte is the first."""
    return {name: data[at // 8] >> at % 8 & 1 for at, name in enumerate(names) if name}


def write_bits(values: Mapping[str, RegisterNumber], names: tuple[str, ...]) -> bytes:
    """The data of an answer with these coils or inputs."""
    bits = sum(1 << at for at, name in enumerate(names) if name and values.get(name))
    return bits.to_bytes((len(names) + 7) // 8, "little")
