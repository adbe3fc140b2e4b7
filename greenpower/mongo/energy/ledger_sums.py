"""Quarter-hours of the interval ledger and the readings after it, for what needs energy or samples alone.

What belongs here: the same numbers as those of stretches of a quarter-hour, in a fraction of the time. What does not:
how good they are (`EnergyReader.read`), groups of stretches (`energy_groups`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenpower.measure.slot import OPEN, Slot
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, day_of
from greenpower.mongo.energy.ledger_read import GROUP_KEYS, ledger_documents
from greenpower.mongo.energy.recent import RecentSlots
from greenpower.mongo.energy.slot_columns import COUNT_BYTES, NOTHING, counts_of, integers_of
from greenpower.mongo.schema.layout import INTERVALS

QUARTER_KEYS = (*GROUP_KEYS, "slots.silence")
SAMPLE_KEYS = ("slots.n", "slots.flags")


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
