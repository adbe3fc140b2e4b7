"""What the same quarter-hours of the same weekdays counted in the weeks before. Pure.

Quarter-hours are alike that have the same weekday and the same time of day in the zone of the device. Left out are
those that tell nothing: of a silence, with an open incident, of another correction, and before the first sample.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from fractions import Fraction

from greenpower.measure.adjustment.quarters import quarter_of, quarters_to, start_of_quarter
from greenpower.measure.adjustment.silences import find_silences
from greenpower.measure.slot import ESTIMATED, OPEN, Slot

REFERENCE = timedelta(days=28)

# A weekday, and a quarter-hour of the local day.
LocalQuarter = tuple[int, int]
Span = tuple[datetime, datetime]


@dataclass(frozen=True, slots=True, kw_only=True)
class WeekdayProfile:
    """The mean counts of alike quarter-hours. others: of one that nothing is known of; None where nothing at all is."""

    means: dict[LocalQuarter, Fraction]
    others: Fraction | None
    zone: tzinfo

    @classmethod
    def of(
        cls,
        slots: Sequence[Slot],
        before_at: datetime | None,
        end: datetime,
        zone: tzinfo,
        left_out: Collection[Span] = (),
    ) -> WeekdayProfile:
        """The profile of the weeks that end with the last sample before a silence, at `end`.

        slots: at least those of that time. before_at: the accepted sample before them; None: there is none. left_out:
        spans of other corrections.
        """
        first, last = quarters_to(end - REFERENCE), quarter_of(end)
        if before_at is None:
            known = next((quarter_of(slot.start) + 1 for slot in slots if slot.last_at is not None), last)
            first = max(first, known)
        useless = {quarter_of(slot.start) for slot in slots if slot.flags & (OPEN | ESTIMATED)}
        silences = [(silence.begin, silence.end) for silence in find_silences(slots, before_at)]
        useless |= {quarter_of(slot.start) for slot in slots if slot.silence_s}
        for since, until in (*silences, *left_out):
            useless.update(range(max(first, quarter_of(since)), min(last, quarters_to(until))))
        energies = {quarter_of(slot.start): slot.energy for slot in slots}
        sums: defaultdict[LocalQuarter, list[int]] = defaultdict(lambda: [0, 0])
        for quarter in range(first, last):
            if quarter not in useless:
                entry = sums[local_quarter(quarter, zone)]
                entry[0] += energies.get(quarter, 0)
                entry[1] += 1
        count = sum(number for _, number in sums.values())
        return cls(
            means={key: Fraction(energy, number) for key, (energy, number) in sums.items()},
            others=Fraction(sum(energy for energy, _ in sums.values()), count) if count else None,
            zone=zone,
        )

    def expect(self, quarter: int) -> Fraction:
        """The counts that are expected in a quarter-hour; 0 where nothing is known."""
        return self.means.get(local_quarter(quarter, self.zone), self.others or Fraction())


def local_quarter(quarter: int, zone: tzinfo) -> LocalQuarter:
    """The weekday and the quarter-hour of the local day that a quarter-hour has."""
    local = start_of_quarter(quarter).astimezone(zone)
    return local.weekday(), (local.hour * 60 + local.minute) // 15
