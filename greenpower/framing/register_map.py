"""The registers of a poll's blocks: from the data of answers to values by name, and back for simulated devices.

What belongs here: which way a block is read, and scales that lie in another block than their values. What does not: one
value (`value`), answers and frames (`poll`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

from greenpower.datatype import DeclarationError
from greenpower.framing.block import LAYOUTS, Block
from greenpower.framing.modbus import BIT_READS
from greenpower.framing.value import INT16, PlacedValue, RegisterNumber, is_plain, placed, read_bits, write_bits

#: scales that a simulated device may choose
SIMULATED_POWERS = range(-3, 11)


class RegisterMap:
    """The blocks of a poll, by their numbers. Raises DeclarationError where the scale of a point is in none."""

    def __init__(self, blocks: Sequence[Block]) -> None:
        self._blocks = blocks
        self._values = tuple(() if block.function in BIT_READS else placed(block) for block in blocks)
        self._plain = tuple(is_plain(block) for block in blocks)
        # (unit, function, register) -> number of the block, place in its bytes, and the values that it scales
        self._scales: dict[tuple[int, int, int], tuple[int, int, list[PlacedValue]]] = {}
        for block, items in zip(blocks, self._values, strict=True):
            for item in items:
                self._add_scale(block, item)

    def read(self, number: int, answers: Mapping[int, bytes]) -> dict[str, RegisterNumber]:
        """The values in a block. answers: the data of those blocks that answered, by number."""
        block, data = self._blocks[number], answers[number]
        if block.function in BIT_READS:
            return read_bits(data, block.fields)
        if not self._plain[number]:
            exponent = partial(self._exponent, answers, block)
            values = {item.point.field: item.read(data, exponent) for item in self._values[number]}
            return {name: value for name, value in values.items() if value is not None}
        numbers = block.values.unpack(data)
        if block.divisor != 1:
            numbers = tuple(value / block.divisor for value in numbers)
        return {name: value for name, value in zip(block.fields, numbers, strict=True) if name}

    def write(self, number: int, values: Mapping[str, float]) -> bytes:
        """The data of an answer with these values; those not given are 0."""
        block = self._blocks[number]
        if block.function in BIT_READS:
            return write_bits(values, block.fields)
        if self._plain[number]:
            whole = LAYOUTS[block.layout] not in "fd"
            numbers = [values.get(name, 0) * block.divisor for name in block.fields]
            return block.values.pack(*map(round, numbers) if whole else numbers)
        data = bytearray(2 * block.count)
        for where, place, scaled in self._scales.values():
            if where == number:
                INT16.pack_into(data, place, _power(scaled, values))
        for item in self._values[number]:
            scale = item.point.scale
            power = 0 if scale is None else _power(self._scales[block.unit, block.function, scale][2], values)
            item.write(data, values.get(item.point.field, 0), power)
        return bytes(data)

    def _add_scale(self, block: Block, item: PlacedValue) -> None:
        scale = item.point.scale
        if scale is None:
            return
        key = block.unit, block.function, scale
        if key not in self._scales:
            for number, other in enumerate(self._blocks):
                place = 2 * (scale - other.register)
                if (other.unit, other.function) == key[:2] and 0 <= place < 2 * other.count:
                    self._scales[key] = number, place, []
                    break
            else:
                raise DeclarationError(f"register {scale} with the scale of {item.point.field!r} is in no block")
        self._scales[key][2].append(item)

    def _exponent(self, answers: Mapping[int, bytes], block: Block, register: int) -> int | None:
        """What a scale register says; None where its block did not answer."""
        number, place, _ = self._scales[block.unit, block.function, register]
        data = answers.get(number)
        return None if data is None else int(INT16.unpack_from(data, place)[0])


def _power(scaled: Sequence[PlacedValue], values: Mapping[str, float]) -> int:
    """The power of ten with which all values of one scale fit into their registers, with decimals if they do."""
    for power in SIMULATED_POWERS:
        if all(item.fits(values.get(item.point.field, 0), power) for item in scaled):
            return power
    return SIMULATED_POWERS[-1]
