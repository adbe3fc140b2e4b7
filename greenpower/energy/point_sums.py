"""What meter points counted, without how good it is: in groups of stretches, and the highest average power of months.

What belongs here: adding up the parts of points. What does not: reading a counter (`greenpower.mongo.energy`), which
stretches make a group (`cost`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from fractions import Fraction

from greenpower.energy.amount import UNIT, Amount, per_count
from greenpower.energy.demand import LOOK_BACK, SECONDS_PER_HOUR, PeakDemand, averaged_over
from greenpower.energy.month import Month
from greenpower.energy.point import PointPart
from greenpower.energy.point_reader import PointEnergy, PointReader
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.mongo.energy.energy_groups import EnergyGroups, GroupedCuts
from greenpower.mongo.energy.ledger_sums import QuarterEnergy, read_quarters

QUARTER = timedelta(seconds=QUARTER_SECONDS)


def read_point_groups(
    reader: PointReader, cuts: Sequence[datetime], groups: Sequence[int], count: int
) -> tuple[PointEnergy, dict[int, list[Amount]]]:
    """What points counted, and by point its energy in each group of the stretches between cuts, which reach as far as
    the reader's boundaries. groups: of each stretch, below `count`. Raises PyMongoError."""
    grouped: dict[tuple[str, str], GroupedCuts] = {}
    pieces: dict[tuple[str, str], list[datetime]] = {}
    for counter, _ in reader.parts_by_counter():
        # Where parts begin and end, a group is cut in pieces.
        inside = sorted(set(counter.cuts) - set(reader.boundaries))
        fine = sorted({*cuts, *inside})
        of_counter = pieces[counter.key] = [reader.boundaries[0], *inside]
        numbers = [
            groups[bisect_right(cuts, begin) - 1] * len(of_counter) + bisect_right(of_counter, begin) - 1
            for begin in fine[:-1]
        ]
        grouped[counter.key] = GroupedCuts(cuts=fine, numbers=numbers, count=count * len(of_counter))
    energy = reader.read(grouped)
    found = {point.number: [Amount() for _ in range(count)] for point in reader.points}
    for counter, parts in reader.parts_by_counter():
        begins = pieces[counter.key]
        for point, part in parts:
            factor = per_count(counter.unit, point.carrier.unit)
            if factor is not None:
                places = [place for place, begin in enumerate(begins) if part.covers(begin)]
                _add(found[point.number], energy.sums[part.counter], places, len(begins), part.sign * factor)
    return energy, found


def _add(amounts: Sequence[Amount], sums: EnergyGroups, pieces: Sequence[int], of: int, factor: int) -> None:
    """Add some pieces of each group. of: how many pieces there are."""
    for group, amount in enumerate(amounts):
        for piece in pieces:
            place = group * of + piece
            amount.energy += factor * sums.energy[place]
            amount.counted |= sums.counted[place]


def read_peaks(reader: PointReader, month: Month, minutes: int) -> dict[int, PeakDemand]:
    """By point the highest of the averages over some minutes of a month, as `demand.peak` finds it; points of which
    nothing is known are absent. reader: of the month. Raises PyMongoError."""
    step = minutes * 60 // QUARTER_SECONDS
    begin = month.begin - LOOK_BACK
    count = -(-(month.end - begin) // (step * QUARTER)) * step
    found: defaultdict[int, QuarterEnergy] = defaultdict(lambda: QuarterEnergy.empty(count // step))
    for counter, parts in reader.parts_by_counter():
        quarters = read_quarters(counter.reader, counter.devices, begin, begin + count * QUARTER)
        for point, part in parts:
            factor = per_count(counter.unit, point.carrier.unit)
            if factor is not None:
                own = _within(quarters[part.device_id], part, begin)
                _add_intervals(found[point.number], own, step, part.sign * factor)
    peaks = ((number, _peak(of, begin, month.begin, minutes)) for number, of in found.items())
    return {number: peak for number, peak in peaks if peak is not None}


def _within(of: QuarterEnergy, part: PointPart, begin: datetime) -> QuarterEnergy:
    """The quarter-hours from a time on for which a part counts; the others without anything."""
    count = len(of.energy)
    first = 0 if part.begins_at is None else max(0, (part.begins_at - begin) // QUARTER)
    last = count if part.ends_at is None else min(count, max(0, (part.ends_at - begin) // QUARTER))
    if (first, last) == (0, count):
        return of
    found = QuarterEnergy.empty(count)
    if first < last:
        span = slice(first, last)
        found.energy[span], found.counted[span], found.silence[span] = (
            of.energy[span],
            of.counted[span],
            of.silence[span],
        )
    return found


def _add_intervals(whole: QuarterEnergy, of: QuarterEnergy, step: int, factor: int) -> None:
    """Add the quarter-hours of a part to the intervals of a point. step: quarter-hours in one."""
    if step == 1:
        whole.energy[:] = [energy + factor * more for energy, more in zip(whole.energy, of.energy, strict=True)]
        whole.counted[:] = map(max, whole.counted, of.counted)
        whole.silence[:] = map(max, whole.silence, of.silence)
        return
    for place in range(len(whole.energy)):
        span = slice(place * step, place * step + step)
        whole.energy[place] += factor * sum(of.energy[span])
        whole.counted[place] |= any(of.counted[span])
        whole.silence[place] = max(whole.silence[place], sum(of.silence[span]))


def _peak(of: QuarterEnergy, begin: datetime, since: datetime, minutes: int) -> PeakDemand | None:
    best: tuple[int, int, int] | None = None
    first = (since - begin) // timedelta(minutes=minutes)
    empty = 0
    for place, (energy, counted, silence) in enumerate(zip(of.energy, of.counted, of.silence, strict=True)):
        if not counted:
            empty += 1
            continue
        over, empty = averaged_over(silence, empty, minutes), 0
        # Power is energy / over: compared without dividing.
        if place >= first and (best is None or energy * best[1] > best[0] * over):
            best = energy, over, place
    if best is None:
        return None
    power = Fraction(best[0] * SECONDS_PER_HOUR, UNIT * best[1])
    return PeakDemand(begin=begin + best[2] * timedelta(minutes=minutes), power=power)
