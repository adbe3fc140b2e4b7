"""The plain recomputation of a counter: straight from the rules, over the whole series, one sample at a time.

It shares nothing with `greenpower.measure` but the names of a state's parts and of incidents.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any

from tests.measure.plain_count import PlainCount, PlainStep, Terms
from tests.measure.plain_daily import DayCut, find_days
from tests.measure.plain_net import NetSegment, NetWalk
from tests.measure.plain_series import Number, PlainMeter, PlainSwap, Sample, Segment, without_bursts
from tests.measure.plain_walk import Walk

UNKNOWN = PlainMeter()


def count(
    samples: Sequence[Sample],
    meter: PlainMeter = UNKNOWN,
    arrivals: Collection[datetime] = (),
) -> PlainCount:
    """What a counter did. samples: the valid ones in order; arrivals: the times of those that have time of arrival."""
    kept, both = without_bursts(samples, arrivals)
    result = PlainCount()
    swaps = sorted(meter.swaps, key=lambda swap: swap.at)
    cuts: list[PlainSwap | DayCut] = [*swaps]
    repeated: dict[datetime, bool] = {}
    if meter.kind == "daily":
        begun, repeated = find_days(kept, meter)
        cuts = sorted([*swaps, *map(DayCut, begun)], key=lambda cut: cut.at)
    begin = 0
    passed = 0
    while begin < len(kept):
        while passed < len(cuts) and cuts[passed].at <= kept[begin][0]:
            passed += 1
        end = begin
        while end < len(kept) and (passed == len(cuts) or kept[end][0] < cuts[passed].at):
            end += 1
        before = result.steps[-1].at if result.steps else None
        crossed = [cut for cut in cuts[:passed] if before is not None and cut.at > before]
        open_hold, result.hold = result.hold, None
        level = open_hold.level if open_hold else result.steps[-1].value if result.steps else None
        closed = passed < len(cuts)
        of_kind, going = (NetSegment, NetWalk) if meter.kind == "net" else (Segment, Walk)
        walk = going(of_kind(kept[begin:end], meter, both=both and begin == 0, closed=closed), result)
        walk.across = () if level is None else _across(level, crossed)
        walk.repeated = repeated
        for index in range(end - begin):
            walk.take(index)
        if walk.last is None:
            result.hold = open_hold
        begin = end
    _silences(kept, result.steps, meter)
    _runs_of_small_falls(result, swaps)
    result.incidents.sort(key=lambda incident: incident.at)
    return result


def _across(level: Number, cuts: Sequence[PlainSwap | DayCut]) -> Terms:
    """What was counted from a register up to where the newest meter, or day, began."""
    terms: Terms = ()
    for cut in cuts:
        if isinstance(cut, DayCut):
            # How far the register got before it began again is not known.
            level = 0
        else:
            terms, level = (*terms, (-1, level), (1, cut.last)), cut.first
    return (*terms, (-1, level))


def _silences(samples: Sequence[Sample], steps: Sequence[PlainStep], meter: PlainMeter) -> None:
    """Say of each step which silence it ends."""
    times = [at for at, _ in samples]
    places = {at: place for place, at in enumerate(times)}
    for before, step in pairwise(steps):
        gap = (step.at - before.at).total_seconds()
        place = places[before.at]
        gaps = sorted((times[n] - times[n - 1]).total_seconds() for n in range(max(1, place - 15), place + 1))
        usual = (gaps[(len(gaps) - 1) // 2] + gaps[len(gaps) // 2]) / 2 if gaps else 0
        if gap > max(meter.stale_after, 2 * usual):
            step.silence = int(gap)


def _runs_of_small_falls(result: PlainCount, swaps: Sequence[PlainSwap]) -> None:
    """Small falls with nothing but flats between them are one open incident, at the first of them."""
    changes: list[PlainStep] = []
    for before, step in pairwise(result.steps):
        if step.value != before.value or any(before.at < swap.at <= step.at for swap in swaps):
            changes.append(step)
    places = {step.at: place for place, step in enumerate(changes)}
    kept = []
    for incident in sorted(result.incidents, key=lambda found: found.at):
        if incident.kind == "small_fall":
            place = places[incident.at]
            if place and changes[place - 1].small_fall:
                continue
            if place + 1 < len(changes) and changes[place + 1].small_fall and incident.status == "noted":
                incident.status = "open"
        kept.append(incident)
    result.incidents = kept


def windows(counted: PlainCount, window_of: Any) -> dict[datetime, dict[str, Any]]:
    """Window -> {n, first, first_at, last, last_at, correction, entry}, the last two exact."""
    found: dict[datetime, dict[str, Any]] = {}
    before: PlainStep | None = None
    for step in counted.steps:
        extra = step.exact - (Fraction(step.value) - Fraction(before.value) if before else 0)
        state = found.get(window_of(step.at))
        if state is None:
            state = found[window_of(step.at)] = {"n": 0, "first": step.value, "first_at": step.at}
            state |= {"entry": extra if before else Fraction(), "correction": Fraction()}
        else:
            state["correction"] += extra
        state |= {"n": state["n"] + 1, "last": step.value, "last_at": step.at}
        before = step
    return found
