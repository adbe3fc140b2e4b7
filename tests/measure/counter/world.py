"""Series of one counter, rolled up."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from greenpower.datatype import Kind
from greenpower.measure.counter.rules import Incident, Limits, OperatorDecision
from greenpower.measure.counter.state import correction, merge_counters
from greenpower.measure.roll import Rolled, roll
from greenpower.measure.spec import FLOOR_KW, Spec
from greenpower.measure.state import State

T0 = datetime(2026, 11, 23, tzinfo=UTC)
ALWAYS = datetime(2100, 1, 1, tzinfo=UTC)
KWH = Limits(floor=FLOOR_KW)
NO_DECISION = OperatorDecision()


def at_interval(count: int, seconds: float, start: datetime = T0) -> list[datetime]:
    """Times of so many samples."""
    return [start + timedelta(seconds=seconds) * index for index in range(count)]


def rolled(
    times: Sequence[datetime],
    values: Sequence[Any],
    *,
    limit: Limits = KWH,
    decision: OperatorDecision = NO_DECISION,
    length: int = 86_400,
    **more: Any,
) -> Rolled:
    """All buckets and slots of a series of the counter `e`."""
    begin = T0.replace(hour=0)
    end = max(times, default=T0) + timedelta(days=2)
    days = -((end - begin) // -timedelta(days=1))
    given = {
        "begin": begin,
        "end": begin + timedelta(days=1) * days,
        "settled_before": ALWAYS,
        "slots": True,
        "decisions": {"e": decision},
        **more,
    }
    spec = Spec(kinds={"e": Kind.COUNTER}, limits={"e": limit})
    return roll(times, [{"e": value} for value in values], length=length, spec=spec, **given)


def merged(result: Rolled) -> State:
    """One state of all buckets."""
    return merge_counters([bucket.stats["e"] for bucket in result.buckets if "e" in bucket.stats])


def energy(result: Rolled) -> Fraction:
    """What all accepted samples but the first count, exactly."""
    state = merged(result)
    return Fraction(state["last"]) - Fraction(state["first"]) + correction(state)


def counts(result: Rolled) -> int:
    """What the slots count, in millionths."""
    return sum(slot.energy for slot in result.slots.get("e", ()))


def total(result: Rolled) -> float:
    """The energy, which the slots agree with."""
    found = energy(result)
    assert abs(counts(result) - found * 10**6) <= len(result.incidents) + 1, (counts(result), float(found))
    return counts(result) / 10**6


def kinds(result: Rolled) -> list[Incident]:
    """What happened, in order."""
    return [found.incident for found in sorted(result.incidents, key=lambda found: found.at)]


def open_incidents(result: Rolled) -> list[Incident]:
    """What is to be decided, in order."""
    return [found.incident for found in sorted(result.incidents, key=lambda found: found.at) if found.open]
