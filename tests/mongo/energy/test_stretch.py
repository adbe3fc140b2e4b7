"""Stretches: quarter-hours cut at boundaries, and neighbours added up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from greenpower.measure.slot import ESTIMATED, OPEN, SILENCE, UNSETTLED, Slot
from greenpower.mongo.energy.stretch import Stretch, cut_slots

T0 = datetime(2026, 3, 28, 23, 45, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
FLAGS = (0, UNSETTLED, OPEN, SILENCE, ESTIMATED)


def quarter(number: int, energy: int, *, n: int = 1) -> Slot:
    """The slot so many quarters after the first; without a sample where n is 0."""
    start = T0 + number * QUARTER
    at = start + timedelta(minutes=number % 15) if n else None
    return Slot(
        start=start,
        energy=energy,
        n=n,
        silence_s=number * 10,
        flags=FLAGS[number % 5],
        last=float(number) if n else None,
        last_at=at,
    )


@pytest.mark.parametrize("step", [1, 2, 3, 5, 8, 40])
def test_any_cut_adds_up_to_the_same(step: int) -> None:
    slots = [quarter(number, 7**number % 1000, n=number % 3) for number in range(40) if number % 7]
    boundaries = [T0 + number * QUARTER for number in range(0, 40 + step, step)]
    stretches = cut_slots(slots, boundaries)
    assert len(stretches) == len(boundaries) - 1
    whole = Stretch()
    for stretch in stretches:
        whole.add(stretch)
    assert [whole] == cut_slots(slots, [boundaries[0], boundaries[-1]])
    assert whole.energy == sum(slot.energy for slot in slots)
    assert whole.samples == sum(slot.n for slot in slots)


def test_a_slot_belongs_to_the_stretch_that_begins_with_it_and_others_are_left_out() -> None:
    stretches = cut_slots(
        [quarter(number, 1 + number) for number in range(6)], [T0 + QUARTER, T0 + 2 * QUARTER, T0 + 4 * QUARTER]
    )
    assert [(stretch.energy, stretch.samples, stretch.last) for stretch in stretches] == [(2, 1, 1.0), (7, 2, 3.0)]
    assert stretches[1].first_at == T0 + 2 * QUARTER


def test_what_has_no_sample_was_not_counted() -> None:
    nothing, zero, late = cut_slots(
        [quarter(0, 0, n=0), quarter(1, 0), quarter(2, 5, n=0)], [T0 + number * QUARTER for number in range(4)]
    )
    assert (nothing.counted, zero.counted, late.counted) == (False, True, True)
    assert nothing.last_at is None and nothing.first_at is None


def test_the_coarsest_resolution_stays() -> None:
    first, second = Stretch(resolution=10_800), Stretch(resolution=1_800)
    first.add(second)
    first.add(Stretch())
    assert first.resolution == 10_800
