"""The rules of a counter one by one: what is accepted, what a step counts, what is open."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.measure.counter.hold import Carry, Hold
from greenpower.measure.counter.rules import Incident, Limits, OperatorDecision, Swap
from greenpower.measure.counter.state import correction, energy, merge_counters
from greenpower.measure.counter.total import join_total, split_total
from greenpower.measure.roll import Rolled
from greenpower.measure.slot import OPEN, UNSETTLED
from tests.measure.counter.world import NO_DECISION, T0, at_interval, kinds, merged, open_incidents, rolled, total

MINUTE = timedelta(minutes=1)
NO_LIMIT = Limits()


def of(*values: Any, limit: Limits = NO_LIMIT, decision: OperatorDecision = NO_DECISION, **more: Any) -> Rolled:
    """Samples a minute apart."""
    return rolled(at_interval(len(values), 60), values, limit=limit, decision=decision, **more)


def test_a_zero_glitch_is_no_register() -> None:
    result = of(31.057, 0, 31.057, 31.057)
    assert total(result) == 0
    assert kinds(result) == [Incident.DIP]


@pytest.mark.parametrize("dips", [1, 2, 3])
def test_up_to_three_samples_are_a_dip(dips: int) -> None:
    result = of(99, 100, *range(dips), 101, 102)
    assert total(result) == 3
    assert kinds(result) == [Incident.DIP] * dips


def test_a_register_that_begins_again_near_0_is_a_reset() -> None:
    result = of(98, 99, 100, 0, 1, 2, 3, 4)
    assert total(result) == 2 + 4
    [found] = result.incidents
    assert (found.incident, found.open, found.before, found.value) == (Incident.RESET, False, 100, 0)
    assert found.until == found.at


def test_a_fall_waits_for_three_samples() -> None:
    result = of(100, 0, 1)
    assert merged(result)["last"] == 100
    assert not result.buckets[0].settled
    assert result.open == {"e"}
    assert result.incidents == []
    assert [slot.flags for slot in result.slots["e"]] == [UNSETTLED]
    assert of(100, 101, 102).buckets[0].settled


def test_a_fall_that_stands_still_stays_open() -> None:
    result = of(98, 99, 100, 0, 0, 0, 0, 0)
    assert total(result) == 2
    [found] = result.incidents
    assert (found.incident, found.open, found.settled, found.until) == (Incident.FALL, True, False, None)
    hold = result.buckets[0].holds["e"]
    assert (hold.level, hold.near, hold.since) == (100, True, T0 + 3 * MINUTE)
    assert [slot.flags & OPEN for slot in result.slots["e"]] == [OPEN]


@pytest.mark.parametrize("steps", [5, 20, 40])
def test_a_changed_unit_is_not_settled_while_it_may_come_back(steps: int) -> None:
    values = [12.5, 12.6, 12.7, *(12_800 + 100 * step for step in range(steps))]
    times = at_interval(len(values) + 3, 900)
    [found] = rolled(times[: len(values)], values).incidents
    assert (found.incident, found.settled, found.until) == (Incident.UNIT_CHANGE, False, None)
    back = rolled(times, [*values, 20, 20.1, 20.2])
    [found] = back.incidents
    assert (found.incident, found.settled, found.until) == (Incident.DIP, True, times[len(values)])
    assert total(back) == pytest.approx(7.7)


def test_what_rises_after_a_reset_is_counted_when_the_reset_is_sure() -> None:
    values = [98, 99, 100, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 4]
    assert total(of(*values)) == 2 + 4
    assert total(of(*values[:12])) == 2


def test_a_rise_that_cannot_be_is_not_counted_until_confirmed() -> None:
    limit = Limits(rate=60)
    result = of(10, 11, 500, 501, 502, 503, limit=limit)
    assert total(result) == 1 + 0 + 3
    [found] = result.incidents
    assert (found.incident, found.before, found.value, found.open) == (Incident.STEP, 11, 500, True)
    for real, wanted in ((True, 493), (False, 4)):
        decided = of(10, 11, 500, 501, 502, 503, limit=limit, decision=OperatorDecision(verdicts={found.at: real}))
        assert total(decided) == wanted
        assert not decided.slots["e"][0].flags & OPEN


def test_the_registry_replaces_what_is_declared_and_learned() -> None:
    values = [10, 11, 14, 15, 16, 17]
    limit = Limits(rate=60, floor=50)
    assert kinds(of(*values, limit=limit)) == [Incident.STEP]
    assert kinds(of(*values, limit=limit, power=180)) == []
    assert kinds(of(*values, limit=Limits(floor=50))) == []
    assert kinds(of(*values, limit=Limits(floor=50), power=20)) == [Incident.STEP] * 2
    assert kinds(of(*(1000 * value for value in values), limit=Limits(floor=50_000), power=180)) == []


def test_a_register_rolls_over_at_its_modulus() -> None:
    result = of(99_990, 99_998, 3, 8, 9, 12, limit=Limits(modulus=100_000))
    assert total(result) == 22
    assert kinds(result) == [Incident.ROLLOVER]
    rejected = OperatorDecision(verdicts={T0 + 2 * MINUTE: False})
    assert total(of(99_990, 99_998, 3, 8, 9, 12, limit=Limits(modulus=100_000), decision=rejected)) == 17


def test_a_reset_far_from_the_modulus_is_no_rollover() -> None:
    assert kinds(of(499, 500, 0, 1, 2, 3, 4, limit=Limits(modulus=100_000))) == [Incident.RESET]


def test_a_meter_swap_counts_what_both_meters_saw() -> None:
    swap = Swap(at=T0 + 3 * MINUTE, last=110, first=7)
    result = of(100, 105, 0, 7, 8, 12, decision=OperatorDecision(swaps=(swap,)))
    assert total(result) == 10 + 5
    assert kinds(result) == [Incident.DIP]
    higher = Swap(at=T0 + 2 * MINUTE, last=106, first=5000)
    limit = Limits(rate=600)
    assert total(of(100, 105, 5000, 5002, limit=limit, decision=OperatorDecision(swaps=(higher,)))) == 6 + 2


@pytest.mark.parametrize(
    ("last", "first", "across"), [(110, 7, 5 + 2), (None, 7, 2), (110, None, 5), (None, None, 0), (105, 9, 0)]
)
def test_a_register_that_nobody_read_is_the_one_next_to_the_swap(
    last: float | None, first: float | None, across: float
) -> None:
    swap = Swap(at=T0 + 3 * MINUTE, last=last, first=first)
    result = of(100, 104, 105, 9, 10, 12, decision=OperatorDecision(swaps=(swap,)))
    assert total(result) == 5 + across + 3
    assert kinds(result) == []


def test_two_swaps_without_a_sample_between_them_add_up() -> None:
    swaps = (Swap(at=T0 + 2 * MINUTE, last=110, first=7), Swap(at=T0 + 2.5 * MINUTE, last=9, first=50))
    result = of(100, 105, 0, 51, 52, 53, decision=OperatorDecision(swaps=swaps))
    # The 0 at the swap is the first sample of a meter that never goes on from there.
    assert total(result) == 5 + (110 - 105 + 0 - 7) + (9 - 0) + (51 - 50) + 2


def test_a_swap_after_an_open_fall_counts_from_the_level_before() -> None:
    swap = Swap(at=T0 + 8 * MINUTE, last=103, first=7)
    result = of(99, 100, 0, 0, 0, 0, 0, 0, 7, 8, 9, decision=OperatorDecision(swaps=(swap,)))
    assert total(result) == 1 + 3 + 2
    assert result.buckets[-1].holds == {}


def test_huge_registers_are_exact() -> None:
    big = 2**62
    result = of(big + 1, big + 2, 0, 1, 2, 3, big + 3, big + 4, big + 5, 0, 0, 0, 0)
    state = merged(result)
    assert energy(state) == 1 + 3 + 2
    assert correction(state) == 6 + big + 1


def test_numbers_beyond_all_measure_do_no_harm() -> None:
    result = of(1e308, -1e308, 1e308, 5, 6, 7, 8, 9, 2**63 - 1, -(2**63), 3, 4, 5, 6, 1e-320, 7.5, 9)
    assert abs(sum(slot.energy for slot in result.slots["e"])) < 2**63


@given(st.lists(st.tuples(st.integers(1, 200), st.integers(0, 50)), min_size=2), st.sampled_from([60, 600]))
def test_energy_is_last_minus_first_when_nothing_happened(steps: list[tuple[int, int]], length: int) -> None:
    times = [T0 + timedelta(seconds=sum(seconds for seconds, _ in steps[: number + 1])) for number in range(len(steps))]
    values = [sum(gain for _, gain in steps[: number + 1]) for number in range(len(steps))]
    result = rolled(times, values, limit=Limits(rate=1e9), length=length)
    states = [bucket.stats["e"] for bucket in result.buckets]
    assert energy(merge_counters(states)) == values[-1] - values[0] == total(result)
    assert all(state["correction"] == 0 and "entry" not in state for state in states)


def test_states_without_entries_merge_as_they_were_meant() -> None:
    def old(first: float, last: float) -> dict[str, Any]:
        return {"n": 2, "first": first, "first_at": T0, "last": last, "last_at": T0, "correction": 0}

    assert energy(merge_counters([old(1, 5), old(2, 4)])) == 4 + 2 + 2
    assert energy(merge_counters([old(1, 5), old(7, 9)])) == 8


def test_a_carry_goes_on_from_an_open_fall() -> None:
    whole = [98.0, 99.0, 100.0, 0, 0, 0, 0, 101.0, 102.0, 103.0, 104.0]
    times = at_interval(len(whole), 60)
    hold = rolled(times[:7], whole[:7]).buckets[0].holds["e"]
    begin = times[7]
    result = rolled(times[7:], whole[7:], begin=begin, carries={"e": Carry(value=0, at=times[6], hold=hold)}, length=60)
    assert [slot.energy for slot in result.slots["e"]] == [1_000_000 + 3_000_000]
    assert result.buckets[0].stats["e"]["entry"] == 1 - 101
    [found] = result.incidents
    assert (found.incident, found.at, found.value, found.until) == (Incident.DIP, times[3], 0, begin)
    assert result.revisit == {times[3]}
    with pytest.raises(ValueError):
        rolled(times, whole, begin=begin, carries={"e": Carry(value=0, at=begin)}, length=60)


def test_a_hold_is_stored_and_merged_with_buckets() -> None:
    result = of(98, 99, 100, 0, 0, 0, 0, length=120)
    assert [set(bucket.holds) for bucket in result.buckets] == [set(), {"e"}, {"e"}, {"e"}]
    document = result.buckets[-1].holds["e"].to_document()
    assert Hold.from_document(document) == result.buckets[-1].holds["e"]


def test_a_run_of_small_falls_is_one_open_incident() -> None:
    assert open_incidents(of(100, 99.9, 99.9, 99.8, 99.8, 99.7, 99.7, 99.7, 99.7)) == [Incident.SMALL_FALL]
    assert kinds(of(100, 99.9, 99.9, 99.8, 99.8, 99.7, 99.7, 99.7, 99.7)) == [Incident.SMALL_FALL]
    apart = of(99.9, 100, 99.9, 99.91, 99.92, 99.93, 99.83, 99.84, 99.85, 99.86)
    assert kinds(apart) == [Incident.SMALL_FALL] * 2
    assert open_incidents(apart) == []
    assert total(apart) == 0.16


@given(st.lists(st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(-1e18, 1e18))))
def test_totals_split_and_join_exactly(parts: list[Any]) -> None:
    from fractions import Fraction

    whole = sum(map(Fraction, parts), Fraction())
    nearest, rest = split_total(whole)
    assert join_total(nearest, rest) == whole
    assert nearest == whole or nearest == float(whole)
