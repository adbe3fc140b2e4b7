"""From the readings of one device to its buckets. The hot path: a column a field, one pass a column.

The readings come with some before and some after the stretch that is asked for, by which its counters are judged.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from operator import itemgetter
from typing import Any

from greenpower.datatype import Kind
from greenpower.rollup.bucket import Bucket
from greenpower.rollup.judge import Word
from greenpower.rollup.number import are_numbers, is_number
from greenpower.rollup.register import Befallen, Register
from greenpower.rollup.sift import BEFORE
from greenpower.rollup.spec import NO_WORDS, Spec
from greenpower.rollup.state import angle_of, gauge_of, state_of
from greenpower.rollup.window import floor

Number = int | float
Payload = Mapping[str, Any]
# A field, its numbers in order, and the positions of the readings that they are of; None for all of them.
Column = tuple[str, Sequence[Number], list[int] | None]
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
    incidents: list[Befallen] = field(default_factory=list)
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
    words: Mapping[str, Word] = NO_WORDS,
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
    result.buckets = [
        Bucket(start=start, count=j - i, first=times[low + i], last=times[low + j - 1]) for start, i, j in cuts
    ]
    register = Register(times, payloads, low, high, settled_before)
    for name, column, where in _columns(payloads[low:high]):
        if name in spec.refused:
            continue
        kind = spec.kinds.get(name)
        if kind is None:
            if name not in extra:
                result.unknown.add(name)
                continue
            kind = Kind.GAUGE
        if kind is Kind.COUNTER:
            states, open_from = register.states(name, column, where, cuts, spec.judge(name, words), result.incidents)
            for bucket, state in zip(result.buckets, states, strict=True):
                if state is not None:
                    bucket.put(name, kind, state)
                if open_from is not None and bucket.last >= open_from:
                    bucket.settled = False
            if open_from is not None and open_from < end:
                result.open.add(name)
            if register.before(name) < BEFORE:
                result.short.add(name)
            continue
        for bucket, (_, i, j) in zip(result.buckets, cuts, strict=True):
            a, b = (i, j) if where is None else (bisect_left(where, i), bisect_left(where, j))
            if a == b:
                continue
            part = column[a:b]
            if kind is Kind.GAUGE:
                bucket.put(name, kind, gauge_of(part))
            elif kind is Kind.ANGLE:
                bucket.put(name, kind, angle_of(part))
            else:
                at = times[low + (b if where is None else where[b - 1] + 1) - 1]
                bucket.put(name, kind, state_of(part, (at,)))
    result.revisit = register.revisit
    return result


def _cuts(times: Sequence[datetime], low: int, high: int, length: int) -> list[tuple[datetime, int, int]]:
    """The windows that readings `low` to `high` lie in: start, and the first and past-the-last reading after `low`."""
    cuts = []
    step = timedelta(seconds=length)
    here = low
    while here < high:
        start = floor(times[here], length)
        there = bisect_left(times, start + step, here, high)
        cuts.append((start, here - low, there - low))
        here = there
    return cuts


def _columns(payloads: Sequence[Payload]) -> list[Column]:
    """Each field's numbers."""
    keys = payloads[0].keys()
    if not keys or not all(payload.keys() == keys for payload in payloads):
        names = list(dict.fromkeys(name for payload in payloads for name in payload))
        return [column for name in names if (column := _sparse(name, payloads)) is not None]
    names = list(keys)
    found: Iterator[tuple[Any, ...]]
    if len(names) > 1:
        found = zip(*map(itemgetter(*names), payloads), strict=True)
    else:
        found = iter([tuple(payload[names[0]] for payload in payloads)])
    columns: list[Column] = []
    for name, values in zip(names, found, strict=True):
        if are_numbers(values):
            columns.append((name, values, None))
        elif (column := _sparse(name, payloads)) is not None:
            columns.append(column)
    return columns


def _sparse(name: str, payloads: Sequence[Payload]) -> Column | None:
    where = [index for index, payload in enumerate(payloads) if is_number(payload.get(name))]
    if not where:
        return None
    return name, tuple(payloads[index][name] for index in where), where
