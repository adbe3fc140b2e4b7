"""What corrections of energy do, recomputed plainly from the samples, minute by minute, as docs/rollups.md says it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from datetime import time as time_of_day
from fractions import Fraction
from itertools import pairwise
from zoneinfo import ZoneInfo

from greenpower.measure.slot import SILENCE, Slot

MINUTE = timedelta(minutes=1)
QUARTER = timedelta(minutes=15)
WEEK = timedelta(days=7)
LONGEST_GAP = timedelta(minutes=20)

# The time of a sample, on a whole minute, and its register in counts.
Sample = tuple[datetime, int]
# A silence, the quarter-hour in which it ended, and its energy.
# A weekday and a time of day.
LocalQuarterHour = tuple[int, time_of_day]
PlainSilence = tuple[datetime, datetime, datetime, Fraction]


def quarter(time: datetime) -> datetime:
    return time.replace(minute=time.minute // 15 * 15, second=0, microsecond=0)


def make_slots(samples: Sequence[Sample]) -> list[Slot]:
    """The quarter-hours of a register, with every gap longer than `LONGEST_GAP` as a silence."""
    slots: dict[datetime, Slot] = {}
    for number, (time, register) in enumerate(samples):
        slot = slots.setdefault(quarter(time), Slot(start=quarter(time)))
        if number:
            before, known = samples[number - 1]
            slot.energy += register - known
            if time - before > LONGEST_GAP:
                slot.silence_s += int((time - before).total_seconds())
                slot.flags |= SILENCE
        slot.n += 1
        slot.last, slot.last_at = register / 10**6, time
    return [slots[start] for start in sorted(slots)]


def counted(samples: Sequence[Sample]) -> dict[datetime, int]:
    """The counts of each quarter-hour that has any sample but the first."""
    found: dict[datetime, int] = {}
    for (_, known), (time, register) in pairwise(samples):
        found[quarter(time)] = found.get(quarter(time), 0) + register - known
    return found


def silences(samples: Sequence[Sample]) -> list[PlainSilence]:
    """The silences, each with the part of its last quarter-hour's energy that is in proportion to time."""
    found, energies = [], counted(samples)
    for (before, _), (time, _) in pairwise(samples):
        if time - before > LONGEST_GAP:
            last = max(at for at, _ in samples if quarter(at) == quarter(time))
            part = Fraction((time - before) // MINUTE, (last - before) // MINUTE)
            found.append((before, time, quarter(time), part * energies[quarter(time)]))
    return found


def plain_estimate(
    samples: Sequence[Sample], begin: datetime, end: datetime, zone: ZoneInfo | None = None
) -> dict[datetime, Fraction]:
    """What an estimate adds to each quarter-hour, exactly. zone: by weekdays there; None: evenly."""
    added: dict[datetime, Fraction] = {}
    for since, until, place, energy in silences(samples):
        minutes = [since + n * MINUTE for n in range((until - since) // MINUTE)]
        weights = {minute: Fraction(1) for minute in minutes}
        if zone is not None:
            known = [(local(place, zone), energy) for place, energy in useful(samples, since)]
            of_quarter = {start: expected(known, local(start, zone)) for start in {quarter(m) for m in minutes}}
            weights = {minute: of_quarter[quarter(minute)] for minute in minutes}
            if not sum(weights.values()):
                weights = {minute: Fraction(1) for minute in minutes}
        whole = sum(weights.values())
        for minute in minutes:
            if begin <= minute < end and quarter(minute) != place:
                share = energy * weights[minute] / whole
                added[quarter(minute)] = added.get(quarter(minute), Fraction()) + share
                added[place] = added.get(place, Fraction()) - share
    return added


def expected(known: Sequence[tuple[LocalQuarterHour, int]], wanted: LocalQuarterHour) -> Fraction:
    """The mean of the same quarter-hours of the weekdays before; of all of them where there is none."""
    chosen = [energy for place, energy in known if place == wanted] or [energy for _, energy in known]
    return Fraction(sum(chosen), len(chosen)) if chosen else Fraction()


def local(start: datetime, zone: ZoneInfo) -> LocalQuarterHour:
    """Weekday and time of a quarter-hour in a zone."""
    wall = start.astimezone(zone)
    return wall.weekday(), wall.time()


def useful(samples: Sequence[Sample], since: datetime) -> list[tuple[datetime, int]]:
    """The quarter-hours of the four weeks before a silence that are whole, with a known energy and without silence."""
    energies = counted(samples)
    silent = [(begin, end) for begin, end, _, _ in silences(samples) if end <= since]
    found = []
    place = quarter(since) - QUARTER
    while place >= since - 4 * WEEK and place > quarter(samples[0][0]):
        if not any(begin < place + QUARTER and place < quarter(end) + QUARTER for begin, end in silent):
            found.append((place, energies.get(place, 0)))
        place -= QUARTER
    return found


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)
