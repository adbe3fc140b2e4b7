"""From the readings of one device to its buckets. The hot path: a column a field, one pass a column.

The readings come with some before and some after the stretch that is asked for, by which its counters are judged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.bucket import Bucket
from greenpower.measure.column import Column, Cut
from greenpower.measure.counter.dip_filter import BEFORE
from greenpower.measure.counter.register import CounterEvent, Register
from greenpower.measure.counter.rules import OperatorDecision
from greenpower.measure.number import are_numbers, is_number
from greenpower.measure.spec import NO_DECISIONS, Spec
from greenpower.measure.state import angle_of, gauge_of, state_of
from greenpower.measure.window import floor

Payload = dict[str, Any]
NO_NAMES: frozenset[str] = frozenset()


@dataclass(slots=True)
class Rolled:
    """What readings became.

    buckets: in order of time. incidents: what befell the counters. unknown: undeclared fields that were not let in.
    short: counters that were judged by fewer than `BEFORE` samples before. open: those whose last samples
    hang on what comes after the readings given. revisit: times of samples before those asked for that only these
    decided: their windows may change.
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
    extra: frozenset[str] = NO_NAMES,
) -> Rolled:
    """The buckets of `[begin, end)`, whole windows of `length` seconds, from readings in order of time.

    settled_before: between readings before this time none will come any more (those that do are marked). words: what
    the operator said, by counter. extra: the undeclared fields that are let in.
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
    for column in _columns(payloads):
        name = column.name
        if name in spec.refused:
            continue
        places = column.cut(cuts)
        if not any(a < b for a, b in places):
            continue
        kind = spec.kinds.get(name)
        if kind is None:
            if name not in extra:
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
            if column.first_from(low) < BEFORE:
                result.short.add(name)
            continue
        for bucket, (a, b) in zip(buckets, places, strict=True):
            if a == b:
                continue
            if kind is Kind.GAUGE:
                bucket.put(name, kind, gauge_of(values[a:b]))
            elif kind is Kind.ANGLE:
                bucket.put(name, kind, angle_of(values[a:b]))
            else:
                bucket.put(name, kind, state_of(values[a:b], (times[column.reading(b - 1)],)))
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


def _columns(payloads: Sequence[Payload]) -> list[Column]:
    """Each field's numbers."""
    keys = payloads[0].keys()
    if not keys or not all(map(keys.__eq__, map(dict.keys, payloads))):
        every = dict.fromkeys(name for payload in payloads for name in payload)
        return [column for name in every if (column := _sparse(name, payloads)) is not None]
    names = list(keys)
    found: Iterable[tuple[Any, ...]]
    if len(names) > 1:
        found = zip(*map(itemgetter(*names), payloads), strict=True)
    else:
        found = [tuple(payload[names[0]] for payload in payloads)]
    columns: list[Column] = []
    for name, values in zip(names, found, strict=True):
        if are_numbers(values):
            columns.append(Column(name, values, None))
        elif (column := _sparse(name, payloads)) is not None:
            columns.append(column)
    return columns


def _sparse(name: str, payloads: Sequence[Payload]) -> Column | None:
    where = [index for index, payload in enumerate(payloads) if is_number(payload.get(name))]
    if not where:
        return None
    return Column(name, tuple(payloads[index][name] for index in where), where)
