"""Cutting a series anywhere, with what is known before it, gives what the whole series gives; so does merging."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.datatype import Kind
from greenpower.measure.bucket import Bucket, by_window
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.quick_look import QuickLook
from greenpower.measure.counter.rules import CounterRules, Limits, OperatorDecision, Swap
from greenpower.measure.counter.series import BURST_GAP
from greenpower.measure.roll import Rolled
from greenpower.measure.spec import Spec
from greenpower.measure.state import Number
from greenpower.measure.windows import floor
from tests.measure.counter.world import KWH, T0, rolled
from tests.measure.rolled import document, merge_stored
from tests.measure.series import play, random_events

EVENTS = 14
LENGTHS = (60, 300, 900, 3_600)
CONTEXTS = ((4, 4), (64, 64), (1_000, 1_000))
LIMITS = (KWH, Limits(floor=50, rate=500, modulus=1_000), Limits(), Limits(rate=600))


class Case:
    """A series of everything that happens to meters, by chance."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        series = play(random_events(self.chance, EVENTS), T0, scale=self.chance.choice([1, 1, 1_000]))
        self.times = [time for time, _ in series.samples]
        self.values: list[Any] = [value for _, value in series.samples]
        self.arrivals = [time in series.arrivals for time in self.times]
        swaps = tuple(Swap(at=swap.at, last=swap.last, first=swap.first) for swap in series.swaps)
        self.more = {"limit": self.chance.choice(LIMITS), "decision": OperatorDecision(swaps=swaps)}
        self.length = self.chance.choice(LENGTHS)

    def roll(self, first: int = 0, last: int | None = None, **more: Any) -> Rolled:
        """Roll up samples `first` to `last`."""
        given = {"length": self.length, "stale_after": 1_020, **self.more, **more}
        part = slice(first, last)
        return rolled(self.times[part], self.values[part], arrivals=self.arrivals[part], **given)

    def samples_between(self, since: datetime, until: datetime) -> int:
        """How many samples lie between two times, those within a burst left out."""
        inside = range(bisect_left(self.times, since) + 1, bisect_left(self.times, until))
        return sum(not self.in_burst(index) for index in inside)

    def in_burst(self, index: int) -> bool:
        """Whether a reading is one of a burst, and not its last."""
        pair = slice(index, index + 2)
        times = self.times[pair]
        return len(times) == 2 and all(self.arrivals[pair]) and times[1] - times[0] < BURST_GAP

    def carry(self, buckets: list[Bucket], begin: datetime) -> Carry | None:
        """The register of the newest bucket that three more samples follow before a time."""
        for bucket in reversed(buckets):
            state = bucket.stats.get("e")
            done = bucket.start + timedelta(seconds=self.length) <= begin
            if state and done and self.samples_between(state["last_at"], begin) >= 3:
                hold = bucket.holds.get("e")
                stored = Carry(value=state["last"], at=state["last_at"], hold=hold).to_document()
                return Carry.from_document(stored)
        return None


def found_within(result: Rolled, begin: datetime, end: datetime) -> dict[str, Any]:
    """What is to be the same."""
    incidents = [item for item in result.incidents if begin <= item.at < end]
    return {
        "buckets": {
            bucket.start: (bucket.stats["e"], bucket.holds.get("e"))
            for bucket in result.buckets
            if begin <= bucket.start < end and "e" in bucket.stats
        },
        "slots": [
            (slot.start, slot.energy, slot.n, slot.silence_s, slot.last, slot.last_at)
            for slot in result.slots.get("e", ())
            if begin <= slot.start < end
        ],
        "incidents": sorted(
            (found.at, found.incident, found.value, found.open, str(found.until)) for found in incidents
        ),
    }


def cut(case: Case, whole: Rolled, begin: datetime, end: datetime) -> Rolled | None:
    """A stretch computed alone, with no more around it than it asks for."""
    low, high = bisect_left(case.times, begin), bisect_left(case.times, end)
    carry = case.carry(whole.buckets, begin)
    for before, after in CONTEXTS:
        first = max(0, low - before)
        if carry is not None:
            first = min(first, bisect_left(case.times, carry.at))
            carries: dict[str, Carry | None] = {"e": carry}
        else:
            first, carries = 0, {"e": None}
        result = case.roll(first, high + after, begin=begin, end=end, carries=carries)
        more_before, more_after = result.short and first > 0, result.open and high + after < len(case.times)
        if not more_before and not more_after:
            return result
    return None


@pytest.mark.parametrize("seed", range(60))
def test_a_stretch_computed_alone_equals_the_whole(seed: int) -> None:
    case = Case(seed)
    whole = case.roll(carries={"e": None})
    unit = timedelta(seconds=max(case.length, 900))
    start = floor(case.times[0], max(case.length, 900))
    units = (case.times[-1] - start) // unit + 1
    for _ in range(8):
        begin = start + unit * case.chance.randrange(units)
        end = begin + unit * case.chance.randint(1, max(1, units // 3))
        if bisect_left(case.times, begin) == bisect_left(case.times, end):
            continue
        part = cut(case, whole, begin, end)
        assert part is not None, "a thousand samples on either side are too few"
        assert found_within(part, begin, end) == found_within(whole, begin, end)


def test_few_samples_before_do_where_the_register_only_rises() -> None:
    """Without a carry, a counter is short unless the four samples before it are enough."""
    assert sum(_compared(seed) for seed in range(600)) > 100


def _compared(seed: int) -> int:
    """How many hours of a series could be told from four samples before; each is as the whole series tells."""
    compared = 0
    case = Case(1_000 + seed)
    whole = case.roll(carries={"e": None})
    start = floor(case.times[0], 3_600)
    for number in range(1, 40):
        begin, end = start + timedelta(hours=number), start + timedelta(hours=number + 1)
        low, high = bisect_left(case.times, begin), bisect_left(case.times, end)
        newest = [bucket for bucket in whole.buckets if bucket.start < begin and "e" in bucket.stats][-1:]
        if low < 4 or low == high or any(bucket.holds for bucket in newest):
            continue
        part = case.roll(low - 4, high + 64, begin=begin, end=end)
        if not part.short and not part.open:
            assert found_within(part, begin, end) == found_within(whole, begin, end)
            compared += 1
    return compared


@pytest.mark.parametrize("seed", range(40))
def test_merging_in_any_grouping_equals_the_whole(seed: int) -> None:
    case = Case(2_000 + seed)
    fine, coarse = case.chance.choice([(60, 900), (300, 3_600), (900, 10_800)])
    spec = Spec(kinds={"e": Kind.COUNTER})
    stored = [document(bucket) for bucket in case.roll(length=fine).buckets]
    direct = {bucket.start: bucket for bucket in case.roll(length=coarse).buckets if bucket.stats}
    for start, parts in by_window(stored, coarse).items():
        place = case.chance.randint(0, len(parts))
        halves = [document(merge_stored(some, start, spec)) for some in (parts[:place], parts[place:]) if some]
        for merged in (merge_stored(parts, start, spec), merge_stored(halves, start, spec)):
            if merged.stats:
                assert (merged.stats, merged.holds) == (direct[start].stats, direct[start].holds)


def judge_every_step(look: QuickLook, values: Sequence[Number], rules: CounterRules) -> list[int]:
    """In place of a quick look."""
    return list(range(1, len(values)))


def compare_with_rules(monkeypatch: pytest.MonkeyPatch, roll: Callable[[], Rolled]) -> None:
    """What a quick look finds is what the rules find. It may settle more windows before the stretch, never fewer."""
    quick = roll()
    monkeypatch.setattr(QuickLook, "irregular", judge_every_step)
    slow = roll()
    assert (quick.buckets, quick.slots, quick.incidents) == (slow.buckets, slow.slots, slow.incidents)
    assert quick.open == slow.open
    assert quick.revisit - quick.resettle == slow.revisit - slow.resettle
    assert quick.revisit >= slow.revisit


@pytest.mark.parametrize("seed", range(60))
def test_a_quick_look_finds_what_the_rules_find(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    register, values = 100.0, []
    for _ in range(chance.choice([5, 30, 120, 400])):
        step = chance.choice([0.1, 0.9, 0.95, 0.5, 4, 0, 0]) if chance.random() < 0.98 else chance.choice([40, 900, -1])
        register = round(register + step, 3)
        values.append(register)
    times = [T0 + timedelta(seconds=60 * index + chance.choice([0, 0, seed % 3])) for index in range(len(values))]
    settled = times[-1] + timedelta(seconds=chance.choice([-120, 1]))
    begin = floor(times[chance.choice([0, 4, 17, 64]) % len(times)], 900)
    compare_with_rules(
        monkeypatch,
        lambda: rolled(times, values, length=900, settled_before=settled, carries={"e": None}, begin=begin),
    )


@pytest.mark.parametrize("seed", range(60))
def test_a_quick_look_at_a_long_series_finds_what_the_rules_find(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(seed)
    register, values = chance.choice([0.0, 5.0, 100.0]), []
    slow, fast = chance.choice([(0.1, 0.9), (0.2, 3), (0, 0.95), (0.001, 1)]), chance.choice([0.7, 0.5, 0.2])
    for index in range(chance.choice([98, 130, 500])):
        step = chance.uniform(*slow) if chance.random() < fast or index % 70 > 60 else slow[chance.random() < 0.5]
        register = round(register + step, 2)
        values.append(register)
    times = [T0 + timedelta(seconds=60 * index) for index in range(len(values))]
    settled = times[-1] + timedelta(seconds=chance.choice([-120, 1]))
    begin = floor(times[chance.choice([0, 4, 64])], 900)
    compare_with_rules(
        monkeypatch,
        lambda: rolled(times, values, length=900, settled_before=settled, carries={"e": None}, begin=begin),
    )


def test_windows_that_later_samples_settle_are_computed_again() -> None:
    """A window whose last samples the next ones decide is said to be one, or has an incident that they may turn."""
    changed = sum(_changed_by_the_next(random.Random(seed)) for seed in range(400))
    assert changed > 20


def _changed_by_the_next(chance: random.Random) -> int:
    """How many quarter-hours of a series become others when the next half hour is known."""
    register, values, changed = chance.choice([5.0, 100.0, 1_000.0]), [], 0
    for index in range(60):
        busy = index // chance.choice([13, 17, 29]) % 2
        step = chance.choice([0.9, 0.95, 1.2, 0.84, 0.6, 4] if busy else [0.01, 0.02, 0.05, 0])
        if chance.random() < 0.02:
            step = chance.choice([40, 900])
        register = round(register + step, 2)
        values.append(register)
    times = [T0 + timedelta(minutes=index) for index in range(60)]
    now, end = times[30], times[-1] + timedelta(minutes=1)

    def part(count: int, begin: datetime, until: datetime) -> Rolled:
        return rolled(
            times[:count],
            values[:count],
            length=900,
            settled_before=times[count - 1] + timedelta(minutes=1),
            carries={"e": None},
            begin=begin,
            end=until,
        )

    then, following, whole = part(30, T0, now), part(60, now, end), part(60, T0, now)
    again = {floor(time, 900) for time in following.revisit}
    may_turn = [floor(incident.at, 900) for incident in then.incidents if not incident.settled]
    for was, became in zip(then.buckets, whole.buckets, strict=True):
        if (was.stats, was.settled) != (became.stats, became.settled):
            changed += 1
            # From where a register changed, the windows after it are followed.
            assert was.start in again or any(start <= was.start for start in may_turn)
    return changed
