"""Slots by columns are the same slots, also in the ledger."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from greenpower.measure.slot import QuarterSlots, QuarterTimes, Slot, all_to_counts, to_counts
from greenpower.mongo.energy.day_total import DayTotal
from greenpower.mongo.energy.ledger_part import DAY, LedgerDay, LedgerPart, by_day, day_of

T0 = datetime(2026, 11, 20, tzinfo=UTC)
QUARTERS_PER_DAY = 96


def slots_at(places: list[int], energy: int) -> QuarterSlots:
    """Slots of quarters since `T0`."""
    starts = [T0 + timedelta(minutes=15 * place) for place in places]
    times = QuarterTimes(
        starts, [5] * len(places), [start + timedelta(seconds=841, milliseconds=7) for start in starts]
    )
    return QuarterSlots(times, [energy + place for place in places], [100 + place / 8 for place in places])


def test_slots_by_columns_are_a_sequence_of_slots() -> None:
    slots = slots_at([3, 4, 9], 1_000)
    plain = [slots[0], slots[1], slots[2]]
    assert plain[0] == Slot(T0 + timedelta(minutes=45), 1_003, 5, 0, 0, 100.375, slots.times.last_at[0])
    assert list(slots) == plain == slots
    assert slots == plain
    assert slots[1:] == plain[1:]
    assert slots[-1] == plain[-1]
    assert slots != plain[1:]
    assert len(slots) == len(plain)


@pytest.mark.parametrize("seed", range(20))
def test_slots_by_columns_fill_a_day_as_slots_do(seed: int) -> None:
    chance = random.Random(seed)
    first = chance.randrange(150)
    places = list(range(first, first + chance.choice([1, 2, 40, 180])))
    if chance.random() < 0.5:
        places = sorted({*chance.sample(places, (len(places) + 1) // 2)})
    slots = slots_at(places, chance.choice([0, 10**6, 2**56 - 100, -50, -(2**56) - 50]))
    begin, end = T0, day_of(slots[-1].start) + DAY

    def documents(given: QuarterSlots | list[Slot]) -> list[object]:
        part = LedgerPart(device="A", field="e", begin=begin, end=end, slots=given)
        found: list[object] = []
        for day, piece in by_day(part):
            there = LedgerDay.read(day, None)
            there.put(piece)
            total = DayTotal.of(there)
            found.append(None if total is None else there.document(total.slots, T0))
        return found

    assert documents(slots) == documents(list(slots))


def test_many_registers_are_counted_as_each_is() -> None:
    for registers in ([0, 0.1, 0.35, 7, 10**15], [-1e308, 0.0, 2.5], [1, 1e305], [10**320, 10**321], [-0.0, 5e-7]):
        assert all_to_counts(registers) == [to_counts(register) for register in registers]
