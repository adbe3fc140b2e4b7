"""Estimates: the energy of silences, spread over them. Pure.

Of a silence that has ended the register showed the total, at the sample after it. It is spread over the whole silence.
What falls into the span of the correction moves there from the quarter-hour in which it ended, so the total stays.

A silence that goes on has no total: by weekdays it gets what is expected, evenly it gets the energy that was given. All
of that goes away with the next sample, because then the register shows what was counted.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from fractions import Fraction
from math import floor, lcm

from greenpower.measure.adjustment.quarters import (
    FIRST_TIME,
    LAST_TIME,
    MS_PER_QUARTER,
    Adjustment,
    lengths,
    quarter_of,
    split,
    start_of_quarter,
)
from greenpower.measure.adjustment.silences import EndedSilence, find_silences
from greenpower.measure.adjustment.weekdays import Span, WeekdayProfile
from greenpower.measure.slot import Slot


class EstimateMethod(StrEnum):
    """How energy is spread: EVENLY over the seconds, or as on the same WEEKDAYS of up to four weeks before."""

    EVENLY = "evenly"
    WEEKDAYS = "weekdays"


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """An estimate over `[begin, end)`, on quarter-hours. energy: counts, for a silence that goes on; None: not given.
    zone: of the device's days. stale_after: seconds without a sample that are a silence."""

    begin: datetime
    end: datetime
    method: EstimateMethod
    energy: int | None
    zone: tzinfo
    stale_after: float

    def evaluate(
        self,
        slots: Sequence[Slot],
        before_at: datetime | None,
        until: datetime,
        left_out: Collection[Span] = (),
    ) -> Adjustment:
        """What it does.

        slots: in order, from `begin` on at the latest, up to the first one with a sample from `end` on, if there is one
        before `until`; by weekdays those of four weeks before the silence, too. before_at: the accepted sample before
        the slots; None: there is none. until: what came later is not known. left_out: spans of other corrections.
        """
        adjustment = Adjustment()
        newest = before_at
        for slot in slots:
            if slot.last_at is not None and (newest is None or newest < self.end):
                newest = slot.last_at
                adjustment.needs_end = start_of_quarter(quarter_of(slot.start) + 1)
        last_before = max(
            (slot.last_at for slot in slots if slot.last_at is not None and slot.last_at < self.begin),
            default=before_at if before_at is None or before_at < self.begin else None,
        )
        if last_before is not None:
            adjustment.need(start_of_quarter(quarter_of(last_before)), self.end)
        else:
            adjustment.need(FIRST_TIME, self.end)
        for silence in find_silences(slots, before_at):
            if silence.begin < self.end and silence.end > self.begin:
                self._spread(adjustment, silence, slots, before_at, left_out)
        if newest is None or newest < self.end:
            adjustment.needs_end = LAST_TIME
            self._expect(adjustment, slots, before_at, newest, until, left_out)
        return adjustment

    def _spread(
        self,
        adjustment: Adjustment,
        silence: EndedSilence,
        slots: Sequence[Slot],
        before_at: datetime | None,
        left_out: Collection[Span],
    ) -> None:
        """Move what falls into the span out of the quarter-hour in which a silence ended."""
        pieces = lengths(silence.begin, silence.end)
        if self.method is EstimateMethod.WEEKDAYS:
            profile = WeekdayProfile.of(slots, before_at, silence.begin, self.zone, left_out)
            shares = _like(profile, silence.energy, pieces)
        else:
            shares = split(silence.energy, [length for _, length in pieces])
        first, last = quarter_of(self.begin), quarter_of(self.end)
        moved = moved_ms = 0
        for (quarter, length), share in zip(pieces, shares, strict=True):
            if first <= quarter < last and quarter != silence.quarter:
                adjustment.add(quarter, share)
                moved, moved_ms = moved + share, moved_ms + length
        if moved_ms:
            adjustment.add(silence.quarter, -moved, -(moved_ms // 1000))

    def _expect(
        self,
        adjustment: Adjustment,
        slots: Sequence[Slot],
        before_at: datetime | None,
        newest: datetime | None,
        until: datetime,
        left_out: Collection[Span],
    ) -> None:
        """Put energy into a silence that goes on."""
        adjustment.ended = False
        begin = self.begin if newest is None else max(self.begin, newest)
        if newest is not None and until - newest <= timedelta(seconds=self.stale_after):
            return
        if self.energy is not None:
            pieces = lengths(begin, self.end) if begin < until else []
            shares = split(self.energy, [length for _, length in pieces]) if pieces else []
        elif self.method is EstimateMethod.WEEKDAYS and newest is not None:
            # By whole quarter-hours that are over, so that an answer is the same for some time.
            pieces = lengths(begin, min(self.end, start_of_quarter(quarter_of(until))))
            profile = WeekdayProfile.of(slots, before_at, newest, self.zone, left_out)
            if profile.others is None:
                return
            shares = [round(profile.expect(quarter) * length / MS_PER_QUARTER) for quarter, length in pieces]
        else:
            return
        for (quarter, _), share in zip(pieces, shares, strict=True):
            adjustment.add(quarter, share)


def _like(profile: WeekdayProfile, energy: int, pieces: Sequence[tuple[int, int]]) -> list[int]:
    """Energy in parts as a profile has it: in proportion, or where signs differ, what is expected with the rest spread
    evenly. pieces: quarter-hours and their milliseconds."""
    wanted = [profile.expect(quarter) * length for quarter, length in pieces]
    whole = sum(wanted)
    signs = {value > 0 for value in wanted if value}
    if signs == {energy > 0} or (not energy and len(signs) == 1):
        scale = lcm(*(value.denominator for value in wanted))
        return split(energy, [abs(int(value * scale)) for value in wanted])
    rest = energy - whole / MS_PER_QUARTER
    whole_ms = sum(length for _, length in pieces)
    parts, given, sum_so_far, ms = [], 0, Fraction(), 0
    for value, (_, length) in zip(wanted, pieces, strict=True):
        sum_so_far, ms = sum_so_far + value / MS_PER_QUARTER, ms + length
        upto = floor(sum_so_far + rest * ms / whole_ms)
        parts.append(upto - given)
        given = upto
    return parts
