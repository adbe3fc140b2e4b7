"""Rolling up the readings of one device into its buckets. The hot path: one column per field, one pass per column.

Some readings before and after the stretch that is asked for are given, too: they decide which samples of its counters
count.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenpower.datatype import Kind
from greenpower.measure.angle import make_angle
from greenpower.measure.bucket import Bucket
from greenpower.measure.column import Cut, Payload, make_columns
from greenpower.measure.counter.dip_filter import SAMPLES_BEFORE
from greenpower.measure.counter.register import CounterEvent, Register
from greenpower.measure.counter.rules import OperatorDecision
from greenpower.measure.gauge import make_gauge
from greenpower.measure.spec import NO_DECISIONS, Spec
from greenpower.measure.state import make_state
from greenpower.measure.windows import floor

NO_NAMES: frozenset[str] = frozenset()


@dataclass(slots=True)
class Rolled:
    """What readings became.

    buckets: in order of time. incidents: what happened to the counters. unknown: undeclared fields that are not
    accepted. short: counters with fewer than `SAMPLES_BEFORE` samples before the stretch. open: counters whose last
    samples depend on what comes after the readings given. revisit: times of samples before those asked for that only
    these decided: their windows may change.
    """

    buckets: list[Bucket] = field(default_factory=list)
    incidents: list[CounterEvent] = field(default_factory=list)
    unknown: set[str] = field(default_factory=set)
    short: set[str] = field(default_factory=set)
    open: set[str] = field(default_factory=set)
    revisit: set[datetime] = field(default_factory=set)


def roll(
    times: Sequence[datetime],
    payloads: Sequence[Payload],
    *,
    begin: datetime,
    end: datetime,
    length: int,
    spec: Spec,
    settled_before: datetime,
    decisions: Mapping[str, OperatorDecision] = NO_DECISIONS,
    accepted: frozenset[str] = NO_NAMES,
) -> Rolled:
    """The buckets of `[begin, end)`, whole windows of `length` seconds, from readings in order of time.

    settled_before: between readings before this time no further one is expected (one that comes makes the window be
    computed again). decisions: the operator's, by counter. accepted: the undeclared fields that are rolled up.
    """
    low, high = bisect_left(times, begin), bisect_left(times, end)
    result = Rolled()
    if low == high:
        return result
    cuts = _cuts(times, low, high, length)
    buckets = result.buckets = [
        Bucket(start=start, count=j - i, first=times[i], last=times[j - 1]) for start, i, j in cuts
    ]
    register = Register(times, low, high, settled_before)
    for column in make_columns(payloads):
        name = column.name
        if name in spec.refused:
            continue
        places = column.cut(cuts)
        if not any(a < b for a, b in places):
            continue
        kind = spec.kinds.get(name)
        if kind is None:
            if name not in accepted:
                result.unknown.add(name)
                continue
            kind = Kind.GAUGE
        values = column.values
        if kind is Kind.COUNTER:
            states, open_from = register.states(column, places, spec.rules(name, decisions), result.incidents)
            for bucket, state in zip(buckets, states, strict=True):
                if state is not None:
                    bucket.put(name, kind, state)
                if open_from is not None and bucket.last >= open_from:
                    bucket.settled = False
            if open_from is not None and open_from < end:
                result.open.add(name)
            if column.first_from(low) < SAMPLES_BEFORE:
                result.short.add(name)
            continue
        for bucket, (a, b) in zip(buckets, places, strict=True):
            if a == b:
                continue
            if kind is Kind.GAUGE:
                bucket.put(name, kind, make_gauge(values[a:b]))
            elif kind is Kind.ANGLE:
                bucket.put(name, kind, make_angle(values[a:b]))
            else:
                bucket.put(name, kind, make_state(values[a:b], (times[column.reading(b - 1)],)))
    result.revisit = register.revisit
    return result


def _cuts(times: Sequence[datetime], low: int, high: int, length: int) -> list[Cut]:
    """The windows that readings `low` to `high` lie in."""
    cuts = []
    step = timedelta(seconds=length)
    here = low
    while here < high:
        start = floor(times[here], length)
        there = bisect_left(times, start + step, here, high)
        cuts.append((start, here, there))
        here = there
    return cuts
