"""Sums of the interval ledger and the readings after it, for what needs energy alone: by groups of stretches, and the
quarter-hours of a range.

A year at two rates has seven hundred stretches and two groups in each bucket. How good a sum is, `EnergyReader.read`
tells of the whole bucket. What belongs here: adding up, the same numbers as those of stretches. What does not: which
stretches make a group (`greenpower.energy.cost`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenpower.measure.slot import OPEN, Slot
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, day_of
from greenpower.mongo.energy.ledger_plan import SlotRange, plan_documents
from greenpower.mongo.energy.ledger_read import ledger_documents
from greenpower.mongo.energy.recent import RecentSlots
from greenpower.mongo.energy.slot_columns import COUNT_BYTES, ENERGY_BYTES, NOTHING, counts_of, integers_of
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS

GROUP_KEYS = ("slots.energy", "slots.n")
QUARTER_KEYS = (*GROUP_KEYS, "slots.silence")
SAMPLE_KEYS = ("slots.n", "slots.flags")

Range = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class EnergyGroups:
    """What a counter counted in each group of stretches. energy: counts. counted: whether anything is known of it."""

    energy: list[int]
    counted: list[bool]

    @classmethod
    def empty(cls, count: int) -> EnergyGroups:
        """So many groups without anything."""
        return cls([0] * count, [False] * count)

    def add(self, group: int, energy: int, counted: bool) -> None:
        """Add a stretch."""
        self.energy[group] += energy
        if counted:
            self.counted[group] = True


@dataclass(frozen=True, slots=True)
class QuarterEnergy:
    """The quarter-hours of a range, in order: counts, whether anything is known, and seconds of silence in them."""

    energy: list[int]
    counted: list[bool]
    silence: list[int]

    @classmethod
    def empty(cls, count: int) -> QuarterEnergy:
        """So many quarter-hours without anything."""
        return cls([0] * count, [False] * count, [0] * count)


@dataclass(frozen=True, slots=True)
class QuarterSamples:
    """The quarter-hours of a range, in order: whether a sample that was accepted lies in each, and whether an incident
    withholds energy there."""

    counted: list[bool]
    open: list[bool]

    @classmethod
    def empty(cls, count: int) -> QuarterSamples:
        """So many quarter-hours without anything."""
        return cls([False] * count, [False] * count)


def read_groups(
    reader: EnergyReader, devices: Sequence[str], boundaries: Sequence[datetime], groups: Sequence[int], count: int
) -> dict[str, EnergyGroups]:
    """What devices counted in groups of the stretches between boundaries, which lie on quarter-hours. groups: of each
    stretch, below `count`. Raises PyMongoError."""
    found = {device: EnergyGroups.empty(count) for device in devices}
    corrected = _corrected(reader, devices)
    for device, energy in (reader.read(corrected, boundaries) if corrected else {}).items():
        for group, stretch in zip(groups, energy.stretches, strict=True):
            found[device].add(group, stretch.energy, stretch.counted)
    plain = {device: sums for device, sums in found.items() if device not in corrected}
    recent = reader.read_recent(devices, boundaries)
    for until, several in _by_end(reader, plain, boundaries, {name: slots.begin for name, slots in recent.items()}):
        times = [boundary for boundary in boundaries if boundary < until]
        plan = plan_documents([*times, until])
        for collection, time, wanted in ((INTERVALS, "day", plan.days), (ENERGY_DAYS, "month", plan.months)):
            ranges = {at: _merged(parts, groups) for at, parts in wanted.items()}
            name, field, stored = reader.datatype.name, reader.field, reader.db[collection]
            for document in ledger_documents(stored, name, field, several, time, list(wanted), GROUP_KEYS):
                _add_ranges(plain[document["device_id"]], document["slots"], ranges[document[time]])
    for device in plain.keys() & recent.keys():
        for slot in recent[device].slots:
            if boundaries[0] <= slot.start < boundaries[-1]:
                plain[device].add(groups[bisect_right(boundaries, slot.start) - 1], slot.energy, _is_counted(slot))
    return found


def read_quarters(
    reader: EnergyReader, devices: Sequence[str], begin: datetime, end: datetime
) -> dict[str, QuarterEnergy]:
    """The quarter-hours between two of their boundaries. Raises PyMongoError."""
    count = (end - begin) // QUARTER
    found = {device: QuarterEnergy.empty(count) for device in devices}
    corrected = _corrected(reader, devices)
    if corrected:
        for device, energy in reader.read(corrected, [begin + place * QUARTER for place in range(count + 1)]).items():
            of = found[device]
            for place, stretch in enumerate(energy.stretches):
                of.energy[place], of.counted[place] = stretch.energy, stretch.counted
                of.silence[place] = stretch.silence_s
    plain = {device: of for device, of in found.items() if device not in corrected}
    recent = reader.read_recent(devices, [begin, end])
    for device, packed, start, until in _days(reader, plain, begin, end, recent, QUARTER_KEYS):
        _put_day(plain[device], packed, start, until)
    for device in plain.keys() & recent.keys():
        of = plain[device]
        for slot in recent[device].slots:
            if begin <= slot.start < end:
                place = (slot.start - begin) // QUARTER
                of.energy[place] += slot.energy
                of.silence[place] += slot.silence_s
                of.counted[place] |= _is_counted(slot)
    return found


def read_samples(
    reader: EnergyReader, devices: Sequence[str], begin: datetime, end: datetime
) -> dict[str, QuarterSamples]:
    """In which quarter-hours between two of their boundaries devices have samples; corrections of energy make none.
    Raises PyMongoError."""
    count = max(0, (end - begin) // QUARTER)
    found = {device: QuarterSamples.empty(count) for device in devices}
    recent = reader.read_recent(devices, [begin, end])
    for device, packed, start, until in _days(reader, found, begin, end, recent, SAMPLE_KEYS):
        size = len(packed["flags"])
        low, high = max(0, -start), min(size, until - start)
        if low < high:
            of, place = found[device], slice(start + low, start + high)
            of.counted[place] = map(bool, counts_of(size).unpack(packed["n"])[low:high])
            of.open[place] = [bool(flags & OPEN) for flags in packed["flags"][low:high]]
    for device, later in recent.items():
        for slot in later.slots:
            if begin <= slot.start < end:
                number = (slot.start - begin) // QUARTER
                found[device].counted[number] |= bool(slot.n)
                found[device].open[number] |= bool(slot.flags & OPEN)
    return found


def _corrected(reader: EnergyReader, devices: Sequence[str]) -> list[str]:
    """The devices whose energy corrections may change: what they do depends on the stretch."""
    return sorted({item["device_id"] for item in reader.correction_reader().read(devices)})


def _days(
    reader: EnergyReader,
    devices: Mapping[str, object],
    begin: datetime,
    end: datetime,
    recent: Mapping[str, RecentSlots],
    keys: Sequence[str],
) -> Iterator[tuple[str, Mapping[str, bytes], int, int]]:
    """The days of the ledger that a range touches: device, columns, the place in the range of the first quarter-hour,
    which may be before it, and the place from which on recent ones count."""
    begins = {name: slots.begin for name, slots in recent.items()}
    first = day_of(begin)
    for until, several in _by_end(reader, devices, [begin, end], begins):
        days = [first + number * DAY for number in range(-((first - until) // DAY))]
        name, field, stored = reader.datatype.name, reader.field, reader.db[INTERVALS]
        for document in ledger_documents(stored, name, field, several, "day", days, keys):
            start, stop = (document["day"] - begin) // QUARTER, (until - begin) // QUARTER
            yield document["device_id"], document["slots"], start, stop


def _by_end(
    reader: EnergyReader,
    devices: Mapping[str, object],
    boundaries: Sequence[datetime],
    begins: Mapping[str, datetime],
) -> list[tuple[datetime, list[str]]]:
    """Devices by where the ledger ends that is used of them. begins: where their recent quarter-hours begin."""
    if reader.watermark is None or boundaries[0] > reader.watermark:
        return []
    made_until = reader.made_until(boundaries)
    ends: defaultdict[datetime, list[str]] = defaultdict(list)
    for device in devices:
        ends[begins.get(device, made_until)].append(device)
    return [(until, several) for until, several in ends.items() if until > boundaries[0]]


def _merged(parts: Sequence[SlotRange], groups: Sequence[int]) -> list[Range]:
    """The ranges of a document as (group, begin, end); neighbours of one group are one."""
    found: list[Range] = []
    for part in parts:
        group = groups[part.stretch]
        if found and found[-1][0] == group and found[-1][2] == part.begin:
            found[-1] = (group, found[-1][1], part.end)
        else:
            found.append((group, part.begin, part.end))
    return found


def _add_ranges(sums: EnergyGroups, packed: Mapping[str, bytes], ranges: Sequence[Range]) -> None:
    stored = packed["energy"]
    energies = integers_of(len(stored) // ENERGY_BYTES).unpack(stored)
    for group, begin, end in ranges:
        energy = sum(energies[begin:end])
        sums.energy[group] += energy
        if not sums.counted[group]:
            samples = packed["n"][begin * COUNT_BYTES : end * COUNT_BYTES]
            sums.counted[group] = bool(energy or samples.strip(NOTHING))


def _put_day(of: QuarterEnergy, packed: Mapping[str, bytes], start: int, until: int) -> None:
    """Put a day's slots. start: the place of its first one, which may be before the range; until: the end of them."""
    count = len(packed["n"]) // COUNT_BYTES
    first, last = max(0, -start), min(count, until - start)
    if first >= last:
        return
    energies, samples = integers_of(count).unpack(packed["energy"]), counts_of(count).unpack(packed["n"])
    place = slice(start + first, start + last)
    of.energy[place] = energies[first:last]
    of.counted[place] = [bool(n or energy) for n, energy in zip(samples[first:last], energies[first:last], strict=True)]
    if packed["silence"].strip(NOTHING):
        of.silence[place] = counts_of(count).unpack(packed["silence"])[first:last]


def _is_counted(slot: Slot) -> bool:
    return bool(slot.n or slot.energy)
