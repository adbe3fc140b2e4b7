"""Corrections of samples: what a person leaves out of a field, and by what its samples are multiplied. Pure.

They come before every rule: a sample that is left out was never sent, as far as numbers go, and one that is multiplied
was sent so. Stored readings stay as they are. What does not belong here: who decided that, and where it is kept
(`greenpower.mongo.corrections`), corrections of what was counted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Context, Decimal
from typing import Any

from greenpower.measure.column import is_number
from greenpower.measure.state import Number

# Two doubles have 17 digits each at most, and so their product is exact.
EXACT = Context(prec=40)

Reading = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleCorrection:
    """What is done to the samples of a field in `[begin, end)`. end: None for all that follow. factor: what they are
    multiplied by; None: they are left out."""

    field: str
    begin: datetime
    end: datetime | None
    factor: Number | None = None


# What is done to the samples of each device.
SampleCorrections = Mapping[str, Sequence[SampleCorrection]]
NO_CORRECTIONS: SampleCorrections = {}
Span = tuple[datetime, datetime | None]


def correct(readings: Sequence[Reading], corrections: Sequence[SampleCorrection]) -> list[Reading]:
    """Readings `{timestamp, payload, …}` of a device, in order of time, as they are corrected. Those given stay.

    A reading whose sample is left out stays a reading, without that field.
    """
    result = list(readings)
    changed: set[int] = set()
    times = [reading["timestamp"] for reading in result]
    for one in corrections:
        first = bisect_left(times, one.begin)
        past = len(times) if one.end is None else bisect_left(times, one.end)
        factor = None if one.factor is None else exact(one.factor)
        for index in range(first, past):
            value = result[index]["payload"].get(one.field)
            if not is_number(value):
                continue
            if index not in changed:
                changed.add(index)
                result[index] = {**result[index], "payload": dict(result[index]["payload"])}
            if factor is None:
                del result[index]["payload"][one.field]
            else:
                result[index]["payload"][one.field] = multiply(value, factor)
    return result


def exact(value: Number) -> Decimal:
    """A number as it is written."""
    return Decimal(int.__repr__(value) if isinstance(value, int) else float.__repr__(value))


def multiply(value: Number, factor: Decimal) -> float:
    """The product as it is written, rounded once: 64.2 times 0.001 is 0.0642."""
    return float(EXACT.multiply(exact(value), factor))


def left_out(corrections: Sequence[SampleCorrection], field: str) -> list[Span]:
    """The spans in which the samples of a field are left out, in order of time; they do not overlap."""
    return sorted(
        ((one.begin, one.end) for one in corrections if one.field == field and one.factor is None),
        key=lambda span: span[0],
    )
