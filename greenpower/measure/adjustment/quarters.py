"""Quarter-hours by their number, and what an adjustment does to them. Pure.

A quarter-hour has the number of quarter-hours since 1970 (UTC). What belongs here: that number, and the result of every
evaluation. What does not: the evaluations, in the modules beside this one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from greenpower.measure.slot import QUARTER_SECONDS

MS_PER_QUARTER = QUARTER_SECONDS * 1000
FIRST_TIME = datetime(1, 1, 1, tzinfo=UTC)
LAST_TIME = datetime(9999, 12, 31, tzinfo=UTC)


@dataclass(slots=True, kw_only=True)
class Adjustment:
    """What a correction does to the quarter-hours of one counter, by their numbers.

    energy: counts to add. silence: seconds of silence to add, that is to take away where they are negative. Both have
    every quarter-hour whose number is another one, or is known now, and `energy` has all of them, with 0 too.
    needs_begin, needs_end: it depends on the samples of that time, UTC. ended: False where it changes with the next
    sample, since it stands for a silence that goes on.
    """

    energy: dict[int, int] = field(default_factory=dict)
    silence: dict[int, int] = field(default_factory=dict)
    needs_begin: datetime = LAST_TIME
    needs_end: datetime = FIRST_TIME
    ended: bool = True

    def add(self, quarter: int, energy: int, silence: int = 0) -> None:
        """Add to a quarter-hour."""
        self.energy[quarter] = self.energy.get(quarter, 0) + energy
        if silence:
            self.silence[quarter] = self.silence.get(quarter, 0) + silence

    def need(self, begin: datetime, end: datetime) -> None:
        """Note that it depends on the samples of `[begin, end)`."""
        self.needs_begin = min(self.needs_begin, begin)
        self.needs_end = max(self.needs_end, end)


def quarter_of(time: datetime) -> int:
    """The number of the quarter-hour that a time lies in. `time` is aware."""
    return int(time.timestamp() // QUARTER_SECONDS)


def quarters_to(time: datetime) -> int:
    """The number of the first quarter-hour that does not begin before a time."""
    return int(-(-time.timestamp() // QUARTER_SECONDS))


def start_of_quarter(quarter: int) -> datetime:
    """Where a quarter-hour begins, UTC."""
    return datetime.fromtimestamp(quarter * QUARTER_SECONDS, UTC)


def milliseconds(time: datetime) -> int:
    """A time as whole milliseconds since 1970."""
    return int(time.timestamp()) * 1000 + time.microsecond // 1000


def lengths(begin: datetime, end: datetime) -> list[tuple[int, int]]:
    """The quarter-hours that `[begin, end)` touches, in order, each with how many milliseconds of it lie within."""
    first, last = milliseconds(begin), milliseconds(end)
    found = []
    here = first
    while here < last:
        quarter = here // MS_PER_QUARTER
        after = min(last, (quarter + 1) * MS_PER_QUARTER)
        found.append((quarter, after - here))
        here = after
    return found


def split(total: int, weights: Sequence[int]) -> list[int]:
    """A whole number in parts by weights, which are not negative and not all 0; the parts add up to it."""
    whole, sum_so_far, given, parts = sum(weights), 0, 0, []
    for weight in weights:
        sum_so_far += weight
        upto = total * sum_so_far // whole
        parts.append(upto - given)
        given = upto
    return parts
