"""Amounts that are given: over a span, of a decision, at an exchange of meters."""

from __future__ import annotations

from datetime import timedelta

import pytest

from greenpower.measure.adjustment.fixed import decided_energy, fixed_energy, new_meter, old_meter
from greenpower.measure.adjustment.quarters import LAST_TIME, quarter_of
from greenpower.measure.slot import Slot
from tests.measure.adjustment.plain_adjustment import QUARTER, at, make_slots

T0 = at("2026-03-02T10:00")
MINUTE = timedelta(minutes=1)


@pytest.mark.parametrize("energy", [0, 1, 5, 1_000_000, 999_999, -7])
def test_a_fixed_energy_is_all_that_is_left_in_its_span(energy: int) -> None:
    slots = make_slots([(T0 + n * 7 * MINUTE, n * n * 1000) for n in range(40)])
    begin, end = T0 + QUARTER, T0 + 7 * QUARTER
    found = fixed_energy(begin, end, energy, slots)
    base = {quarter_of(slot.start): slot.energy for slot in slots}
    left = [base.get(number, 0) + found.energy[number] for number in range(quarter_of(begin), quarter_of(end))]
    assert sum(left) == energy and max(left) - min(left) <= 1 and left == sorted(left, reverse=True)
    assert len(found.energy) == 6
    assert (found.needs_begin, found.needs_end) == (begin, end)


def test_a_fixed_energy_takes_the_silence_with_it() -> None:
    slots = make_slots([(T0, 0), (T0 + 5 * QUARTER, 900), (T0 + 6 * QUARTER, 1000)])
    found = fixed_energy(T0, T0 + 6 * QUARTER, 600, slots)
    assert found.silence == {quarter_of(T0 + 5 * QUARTER): -5 * 900}


def test_a_decision_is_at_its_sample() -> None:
    assert decided_energy(T0 + 3 * MINUTE, -5).energy == {quarter_of(T0): -5}


def slot(minutes: int, register: float, energy: int = 0) -> Slot:
    time = T0 + minutes * MINUTE
    return Slot(start=time.replace(minute=time.minute // 15 * 15), energy=energy, n=1, last=register, last_at=time)


def test_an_old_meter_counts_up_to_its_last_register() -> None:
    at_time = T0 + 20 * MINUTE
    found = old_meter(at_time, 105.5, slot(3, 100.0), None)
    assert found.energy == {quarter_of(at_time): 5_500_000}
    assert (found.needs_begin, found.needs_end) == (T0, LAST_TIME)
    later = old_meter(at_time, 105.5, slot(3, 100.0), slot(65, 3.0))
    assert later.energy == {quarter_of(at_time): 5_500_000, quarter_of(T0 + 65 * MINUTE): -5_500_000}
    assert later.needs_end == T0 + 75 * MINUTE
    assert sum(old_meter(at_time, 105.5, slot(3, 100.0), slot(29, 3.0)).energy.values()) == 0
    assert old_meter(at_time, 105.5, None, None).energy == {}


def test_a_new_meter_counts_from_its_first_register() -> None:
    at_time = T0 + 20 * MINUTE
    assert new_meter(at_time, 0.2, None, None).energy == {}
    found = new_meter(at_time, 0.2, None, slot(50, 1.5, energy=300_000))
    assert found.energy == {quarter_of(T0 + 50 * MINUTE): 1_000_000}
    assert new_meter(at_time, 0.2, slot(1, 0.1), slot(50, 1.5, energy=300_000)).energy == {}
