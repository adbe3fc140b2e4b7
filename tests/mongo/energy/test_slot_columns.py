"""Slot columns: what is packed comes back, and sums of ranges are plain sums."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.slot import OPEN
from greenpower.mongo.energy.slot_columns import (
    LARGEST_COUNT,
    LARGEST_ENERGY,
    SLOTS_PER_DAY,
    SLOTS_PER_MONTH,
    SlotColumns,
    sum_packed,
    sum_ranges,
)

Filled = dict[int, tuple[int, int, int, int, float, int]]
COUNTS = st.integers(0, LARGEST_COUNT)
FILLED = st.tuples(
    st.integers(-LARGEST_ENERGY, LARGEST_ENERGY),
    COUNTS,
    COUNTS,
    st.integers(0, 255),
    st.floats(allow_nan=False, allow_infinity=False),
    st.integers(0, 86_399_999),
)
SIZES = st.sampled_from((SLOTS_PER_DAY, SLOTS_PER_MONTH))


def fill(size: int, filled: Filled) -> SlotColumns:
    columns = SlotColumns.empty(size)
    for slot, (energy, n, silence, flags, last, last_ms) in filled.items():
        # A register without a sample is none.
        last, last_ms = (last, last_ms) if n else (0.0, 0)
        columns.put(slot, energy=energy, n=n, silence=silence, flags=flags, last=last, last_ms=last_ms)
    return columns


@st.composite
def some_columns(draw: st.DrawFn) -> tuple[SlotColumns, Filled]:
    size = draw(SIZES)
    filled = draw(st.dictionaries(st.integers(0, size - 1), FILLED, max_size=size))
    return fill(size, filled), filled


@given(some_columns())
def test_what_is_packed_comes_back(made: tuple[SlotColumns, Filled]) -> None:
    columns, filled = made
    packed = columns.pack()
    assert SlotColumns.unpack(packed, len(columns.n)) == columns
    used = max((slot + 1 for slot, numbers in filled.items() if any(numbers[:4])), default=0)
    lengths = [len(column) for column in packed.values() if isinstance(column, bytes)]
    assert lengths == [width * used for width in (8, 4, 4, 1, 8, 4)]
    assert columns.is_empty is not any(any(numbers[:4]) for numbers in filled.values())


@given(some_columns(), st.data())
def test_sums_of_ranges_are_plain_sums(made: tuple[SlotColumns, Filled], data: st.DataObject) -> None:
    columns, filled = made
    begin = data.draw(st.integers(0, len(columns.n)))
    end = data.draw(st.integers(begin, len(columns.n)))
    inside = {slot: numbers for slot, numbers in filled.items() if begin <= slot < end}
    flags = 0
    for numbers in inside.values():
        flags |= numbers[3]
    sampled = [slot for slot, numbers in inside.items() if numbers[1]]
    last = max(sampled, default=-1)
    found = columns.sum(begin, end)
    assert found == sum_packed(columns.pack(), begin, end)
    assert [found, found] == list(sum_ranges(columns.pack(), [(begin, end)] * 2))
    assert (found.energy, found.n, found.silence) == tuple(sum(row[i] for row in inside.values()) for i in range(3))
    assert (found.flags, found.first_slot, found.last_slot) == (flags, min(sampled, default=-1), last)
    assert (found.last, found.last_ms) == (inside[last][4:] if last >= 0 else (0.0, 0))


@given(some_columns(), st.data())
def test_a_cleared_range_is_empty_and_the_rest_stays(made: tuple[SlotColumns, Filled], data: st.DataObject) -> None:
    columns, filled = made
    begin = data.draw(st.integers(0, len(columns.n)))
    end = data.draw(st.integers(begin, len(columns.n)))
    columns.clear(begin, end)
    assert columns == fill(len(columns.n), {slot: row for slot, row in filled.items() if not begin <= slot < end})


def test_the_binaries_are_little_endian_on_any_machine() -> None:
    columns = SlotColumns.empty(SLOTS_PER_MONTH)
    columns.put(1, energy=-2, n=3, silence=4, flags=5, last=1.5, last_ms=6)
    packed = columns.pack()
    assert packed["energy"][8:16] == (2**64 - 2).to_bytes(8, "little")
    assert [packed[name][4:8] for name in ("n", "silence", "last_at")] == [
        number.to_bytes(4, "little") for number in (3, 4, 6)
    ]
    assert (packed["flags"][1], packed["last"][8:16]) == (5, struct.pack("<d", 1.5))


@pytest.mark.parametrize("energy", [LARGEST_ENERGY + 1, -LARGEST_ENERGY - 1, 10**30])
def test_energy_that_no_meter_counts_is_withheld_and_open(energy: int) -> None:
    columns = fill(SLOTS_PER_DAY, {7: (energy, 1, 10**12, 0, 1e300, 0)})
    assert columns.sum(7, 8).energy == 0
    assert columns.sum(7, 8).flags == OPEN
    assert SlotColumns.unpack(columns.pack(), SLOTS_PER_DAY) == columns


def test_columns_of_different_lengths_are_an_error() -> None:
    packed = fill(SLOTS_PER_DAY, {95: (1, 1, 1, 1, 1.0, 1)}).pack()
    packed["energy"] = packed["energy"][:-8]
    with pytest.raises(struct.error):
        SlotColumns.unpack(packed, SLOTS_PER_DAY)
