"""The states of an alarm: what a series of observations of one subject makes of it. Pure.

Pending begins with an observation beyond the limit. It becomes active with the first observation that is beyond the
limit `for_s` seconds later, if all between were; one that is not ends it, and nothing is told. An active alarm is
cleared by the first observation that is well within the limit, hysteresis included. What lies between the two changes
nothing of an active alarm. All times are those of the observations, so it is the same however they come in.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

# A reading that comes so long after its time is told as late.
LATE_AFTER = timedelta(minutes=5)


class Condition(Enum):
    """What an observation says. BEYOND: the limit is passed. BETWEEN: not, but by less than the hysteresis."""

    BEYOND = "beyond"
    BETWEEN = "between"
    WITHIN = "within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """One look at a subject. at: its own time. until: up to when it held, as far as known; None: `at`. late: whether
    it was known long after its time."""

    at: datetime
    condition: Condition
    value: float | None
    until: datetime | None = None
    late: bool = False


@dataclass(slots=True, kw_only=True)
class Episode:
    """A time for which the limit was passed. begin: of the first observation beyond it. raised_at: None while pending,
    or where it ended before. ended_at: None while it goes on. late: whether it was raised by a late observation."""

    begin: datetime
    value: float | None
    raised_at: datetime | None = None
    raised_value: float | None = None
    late: bool = False
    ended_at: datetime | None = None
    ended_value: float | None = None

    def overlaps(self, begin: datetime, end: datetime | None) -> bool:
        """Whether it has a time in common with another one. end: None for one that goes on."""
        return (end is None or self.begin < end) and (self.ended_at is None or begin < self.ended_at)


def is_late(at: datetime, known_at: datetime) -> bool:
    """Whether something was known so long after its time that people are told."""
    return known_at - at > LATE_AFTER


def walk(ongoing: Episode | None, observations: Iterable[Observation], for_s: float) -> list[Episode]:
    """The episodes that observations, in order of time, continue, begin and end. ongoing: what went on before them; it
    is changed, and the first of the answer. The last one may go on."""
    delay = timedelta(seconds=for_s)
    found = [] if ongoing is None else [ongoing]
    for item in observations:
        if ongoing is not None and (item.until or item.at) < ongoing.begin:
            continue  # seen before it began
        if item.condition is Condition.BEYOND:
            if ongoing is None:
                ongoing = Episode(begin=item.at, value=item.value)
                found.append(ongoing)
            if ongoing.raised_at is None and (item.until or item.at) - ongoing.begin >= delay:
                # One that was seen up to now was raised when its time was over.
                ongoing.raised_at = max(item.at, ongoing.begin + delay) if item.until else item.at
                ongoing.raised_value, ongoing.late = item.value, item.late
        elif ongoing is not None and (ongoing.raised_at is None or item.condition is Condition.WITHIN):
            ongoing.ended_at = max(item.at, ongoing.raised_at or ongoing.begin)
            ongoing.ended_value = item.value
            ongoing = None
    return found


def late_episodes(
    series: Sequence[Observation], told: Iterable[tuple[datetime, datetime | None]], for_s: float
) -> list[Episode]:
    """What a series, with late observations in their places, would have raised and nobody was told: the episodes that
    share no time with one that was told, (begin, end)."""
    spans = list(told)
    return [
        episode
        for episode in walk(None, series, for_s)
        if episode.raised_at is not None and not any(episode.overlaps(*span) for span in spans)
    ]
