"""What a divisor is worth in calendar buckets.

What belongs here: reading the counter of one. What does not: dividing (`divisor`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from greenpower.energy.divisor import DivisorKind, DivisorValue, constant_value
from greenpower.energy.measured_stretch import MeasuredStretch, StretchMeasure
from greenpower.measure.slot import COUNTS_PER_UNIT
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.sql.divisor import Divisor


@dataclass(frozen=True, slots=True, kw_only=True)
class DivisorValues:
    """What a divisor is worth in each bucket, and in all of them together."""

    buckets: Sequence[DivisorValue]
    total: DivisorValue


def constant_values(divisor: Divisor, boundaries: Sequence[datetime], zone: ZoneInfo) -> DivisorValues:
    """Those of a constant. zone: of the days from which its values are valid."""
    assert divisor.kind == DivisorKind.CONSTANT
    values = [(date.fromisoformat(one["valid_from"]), Decimal(one["value"])) for one in divisor.content["values"]]
    return DivisorValues(
        buckets=[constant_value(values, begin, end, zone) for begin, end in pairwise(boundaries)],
        total=constant_value(values, boundaries[0], boundaries[-1], zone),
    )


def counter_values(reader: EnergyReader, device: str, boundaries: Sequence[datetime]) -> DivisorValues:
    """Those of a counter. boundaries: on quarter-hours. Raises PyMongoError."""
    # What is pending is read first: what is computed again in between is not called final by mistake.
    pending = reader.read_pending([device], boundaries)
    energy = reader.read([device], boundaries)[device]
    fall = reader.read_open_falls([device], boundaries[-1]).get(device)
    measure = StretchMeasure(boundaries=boundaries, pending=pending, now=reader.now, unknown_from=reader.unknown_from)
    found = measure.measure(device, energy, fall)
    passed = [max(0.0, (min(end, reader.now) - begin).total_seconds()) for begin, end in pairwise(boundaries)]
    covered = sum(item.coverage * seconds for item, seconds in zip(found, passed, strict=True))
    counted = [item for item in found if item.stretch.counted]
    total = DivisorValue(
        value=Fraction(sum(item.stretch.energy for item in counted), COUNTS_PER_UNIT) if counted else None,
        final=all(item.final and not item.undecided for item in found),
        coverage=round(covered / sum(passed), 4) if sum(passed) else 0.0,
    )
    return DivisorValues(buckets=list(map(_value, found)), total=total)


def _value(item: MeasuredStretch) -> DivisorValue:
    counted = item.stretch.counted
    return DivisorValue(
        value=Fraction(item.stretch.energy, COUNTS_PER_UNIT) if counted else None,
        final=item.final and not item.undecided,
        coverage=item.coverage,
    )
