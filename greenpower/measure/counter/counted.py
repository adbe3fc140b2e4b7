"""What became of a counter, by windows and quarters of an hour, with what happened to it.

What belongs here: the results as others read them, by time. What does not: how they are found (`register`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from greenpower.measure.counter.course import Course
from greenpower.measure.counter.hold import Hold
from greenpower.measure.counter.rules import Incident
from greenpower.measure.counter.series import Series
from greenpower.measure.slot import Slot
from greenpower.measure.state import Number, State


@dataclass(frozen=True, slots=True, kw_only=True)
class CounterEvent:
    """An incident in a series. at, value: the sample it shows at; before_at, before: the one accepted before it, None
    where there is none.

    correction: what it adds to the energy between the two; None for samples that are left out, which lie between
    nothing. settled: no later sample changes it. until: when what it began was over; None where that is open, or it
    began nothing. open: there is something to decide for an operator.
    """

    field: str
    incident: Incident
    at: datetime
    value: Number
    before_at: datetime | None
    before: Number | None
    correction: Fraction | None = None
    settled: bool = True
    until: datetime | None = None
    open: bool = False


@dataclass(slots=True)
class Counted:
    """What became of a counter.

    states, holds: of each window; None where no sample of it is accepted, or no fall is open at its end. unsettled: the
    windows that later samples may change. short, open: more samples before, or after, the readings given may change
    something.
    """

    states: list[State | None]
    holds: Sequence[Hold | None] = ()
    slots: Sequence[Slot] = ()
    events: Sequence[CounterEvent] = ()
    unsettled: Sequence[int] = ()
    short: bool = False
    open: bool = False


def counter_events(name: str, series: Series, course: Course, settled: int, low: int, high: int) -> list[CounterEvent]:
    """The incidents that show, or end, at samples `low` to `high`. settled: the samples before it are all there."""
    found = []
    for event in course.events:
        if not event.is_in(low, high) and (event.until is None or not low <= event.until < high):
            continue
        before = None if event.before is None else (series.times[event.before], series.values[event.before])
        if event.hold is not None:
            before = (event.hold.at, event.hold.level)
            at, value = event.hold.since, event.hold.landed
        else:
            assert event.index is not None
            at, value = series.times[event.index], series.values[event.index]
        found.append(
            CounterEvent(
                field=name,
                incident=event.incident,
                at=at,
                value=value,
                before_at=None if before is None else before[0],
                before=None if before is None else before[1],
                correction=event.adds,
                settled=event.settled_at < settled,
                until=None if event.until is None else series.times[event.until],
                open=event.open,
            )
        )
    return found
