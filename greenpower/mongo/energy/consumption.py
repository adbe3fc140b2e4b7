"""Energy between boundaries: from the interval ledger, and from readings where the ledger has not come yet.

What was counted between two accepted samples falls into the stretch of the later one. So a stretch has one answer,
wherever a range begins, and stretches add up exactly. What belongs here: putting the two sources together. What does
not: reading either (`ledger_read`, `recent`), what it costs (`cost`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from dataclasses import field as dataclass_field
from datetime import datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

from pymongo.database import Database

from greenpower.catalog.facts import ledger_tier
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.adjustments.apply import CorrectionReader
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.mongo.energy.energy_groups import EnergyGroups, GroupedCuts
from greenpower.mongo.energy.ledger_plan import documents_needed
from greenpower.mongo.energy.ledger_read import ledger_register_before, read_stretches
from greenpower.mongo.energy.open_falls import read_open_falls
from greenpower.mongo.energy.pending import PendingHours, ledger_prefixes, read_pending
from greenpower.mongo.energy.recent import RecentEnergy, RecentSlots
from greenpower.mongo.energy.stretch import DeviceEnergy, RegisterReading, Stretch, cut_slots
from greenpower.mongo.query import count
from greenpower.mongo.readings.latest import find_devices
from greenpower.mongo.rollups.tier_view import make_tier_views, read_tiers
from greenpower.mongo.rollups.watermarks import EPOCH
from greenpower.mongo.schema.layout import ENERGY_DAYS, INCIDENTS, INTERVALS, INVALIDATIONS

# What will be computed again before a range changes its first sample, if there is none between.
PENDING_BEFORE = timedelta(days=1)
MONTH = timedelta(days=31)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReader:
    """Reads one counter of a type. Its methods raise PyMongoError.

    readings: the collection of its readings. watermark: the ledger is made up to here; None where the type has none, or
    none yet. known_from: of earlier times nothing is left. zone: of devices that have none of their own.
    """

    db: Database[Document]
    datatype: DataType
    field: str
    now: datetime
    readings: str
    watermark: datetime | None
    known_from: datetime
    zone: ZoneInfo
    # Leaves out what the ledger does not have yet, where too many readings would have to be rolled.
    ledger_only: bool = False
    # What was rolled already: an answer that asks twice gets the same.
    _recent: dict[tuple[object, ...], dict[str, RecentSlots]] = dataclass_field(default_factory=dict, repr=False)

    @classmethod
    def open(
        cls, db: Database[Document], datatype: DataType, settings: Settings, field: str, now: datetime
    ) -> EnergyReader:
        """A reader, with the progress of the ledger as it is now. field: a counter. Raises PyMongoError."""
        progress = read_tiers(db, datatype)
        readings = make_tier_views(datatype, settings, progress)[0]
        ledger = progress.get(INTERVALS, {}) if ledger_tier(datatype) else {}
        watermark = ledger.get("watermark")
        return cls(
            db=db,
            datatype=datatype,
            field=field,
            now=now,
            readings=readings.collection,
            watermark=watermark,
            known_from=readings.whole_from if watermark is None else ledger.get("complete_from", EPOCH),
            zone=ZoneInfo(settings.device_timezone),
        )

    def without_recent(self) -> EnergyReader:
        """The same for what the ledger has alone; itself for a type that never has one."""
        return replace(self, ledger_only=True) if ledger_tier(self.datatype) else self

    @property
    def unknown_from(self) -> datetime | None:
        """From when on nothing is told, though there may be readings; None where all of them are."""
        return (self.watermark or EPOCH) if self.ledger_only else None

    def find_devices(self, begin: datetime, end: datetime, limit: int) -> list[str]:
        """The devices of the type, in order, `limit` at most: those of which there are readings or buckets of the
        coarsest tier, and those that the ledger has between two times."""
        found = set()
        for name in dict.fromkeys((self.datatype.collections[0], self.datatype.collections[-1])):
            found.update(find_devices(self.db[name], limit))
        if self.watermark is not None:
            # By months, and one before: the day before the range may tell the register before it.
            months = {"$gte": max(begin, EPOCH) - MONTH, "$lt": end}
            query = {"type": self.datatype.name, "field": self.field, "month": months}
            found.update(self.db[ENERGY_DAYS].distinct("device_id", query))
        return sorted(found)[:limit]

    def count_documents(self, devices: Sequence[str], boundaries: Sequence[datetime]) -> int:
        """How many documents of the ledger may have to be read."""
        if self.watermark is None:
            return 0
        until = self.made_until(boundaries)
        return documents_needed([*(time for time in boundaries if time < until), until], len(devices))

    def count_readings(self, devices: Sequence[str], boundaries: Sequence[datetime], limit: int) -> int:
        """How many readings have to be rolled, counted up to a limit."""
        begin, end = self.made_until(boundaries), boundaries[-1]
        if begin >= end or not devices or self.ledger_only:
            return 0
        query = {"device_id": {"$in": list(devices)}, "timestamp": {"$gte": begin, "$lt": end}}
        return count(self.db[self.readings], query, limit)

    def read_pending(self, devices: Sequence[str], boundaries: Sequence[datetime]) -> PendingHours:
        """The hours that the rollups will compute again."""
        if self.watermark is None:
            return PendingHours()
        prefixes = ledger_prefixes(self.datatype)
        begin, end = max(boundaries[0], EPOCH) - PENDING_BEFORE, min(boundaries[-1], self.now + PENDING_BEFORE)
        return read_pending(self.db[INVALIDATIONS], self.datatype.name, prefixes, devices, begin, end)

    def read_open_falls(self, devices: Sequence[str], end: datetime) -> dict[str, datetime]:
        """By device the time of a fall before `end` of which nobody knows yet what it means."""
        return read_open_falls(self.db[INCIDENTS], self.datatype.name, self.field, devices, end)

    def read(
        self, devices: Sequence[str], boundaries: Sequence[datetime], grouped: GroupedCuts | None = None
    ) -> dict[str, DeviceEnergy]:
        """What devices counted between boundaries, which lie on quarter-hours, as corrections have it. grouped: groups
        of other stretches with the same ends, for `DeviceEnergy.groups`."""
        reader = self.correction_reader()
        # First, so that one which is made meanwhile is not applied to half of what it changes.
        corrections = reader.read(devices)
        found = self._read_base(devices, boundaries, grouped)
        if corrections:
            reader.apply(found, boundaries, corrections)
            if grouped is not None:
                self._correct_groups(found, reader, corrections, grouped)
        return found

    def _correct_groups(
        self,
        found: Mapping[str, DeviceEnergy],
        reader: CorrectionReader,
        corrections: Sequence[CorrectionDocument],
        grouped: GroupedCuts,
    ) -> None:
        """The groups of devices that have corrections, from stretches: what those do depends on the stretch."""
        fine = self._read_base(sorted({item["device_id"] for item in corrections}), grouped.cuts)
        reader.apply(fine, grouped.cuts, corrections)
        for device, energy in fine.items():
            sums = found[device].groups = EnergyGroups.empty(grouped.count)
            for group, stretch in zip(grouped.numbers, energy.stretches, strict=True):
                sums.add(group, stretch.energy, stretch.counted)

    def correction_reader(self) -> CorrectionReader:
        """A reader of the corrections of the counter."""
        return CorrectionReader(
            db=self.db,
            datatype=self.datatype,
            field=self.field,
            now=self.now,
            readings=self.readings,
            watermark=self.watermark,
            zone=self.zone,
        )

    def _read_base(
        self, devices: Sequence[str], boundaries: Sequence[datetime], grouped: GroupedCuts | None = None
    ) -> dict[str, DeviceEnergy]:
        """What the ledger and the readings after it say."""
        made_until = self.made_until(boundaries)
        recent = self.read_recent(devices, boundaries)
        found = {device: DeviceEnergy(stretches=[Stretch() for _ in pairwise(boundaries)]) for device in devices}
        if grouped is not None:
            for energy in found.values():
                energy.groups = EnergyGroups.empty(grouped.count)
        if self.watermark is not None and boundaries[0] <= self.watermark:
            self._add_ledger(found, boundaries, made_until, recent, grouped)
        for device, later in recent.items():
            energy = found[device]
            if later.before is not None:
                energy.before = later.before
            for stretch, more in zip(energy.stretches, cut_slots(later.slots, boundaries), strict=True):
                stretch.add(more)
            if grouped is not None and energy.groups is not None:
                for slot in later.slots:
                    if boundaries[0] <= slot.start < boundaries[-1]:
                        group = grouped.numbers[bisect_right(grouped.cuts, slot.start) - 1]
                        energy.groups.add(group, slot.energy, bool(slot.n or slot.energy))
        return found

    def _add_ledger(
        self,
        found: Mapping[str, DeviceEnergy],
        boundaries: Sequence[datetime],
        made_until: datetime,
        recent: Mapping[str, RecentSlots],
        grouped: GroupedCuts | None,
    ) -> None:
        """Add what the ledger has, of each device up to where its recent quarter-hours begin."""
        name = self.datatype.name
        for device, carry in ledger_register_before(self.db, name, self.field, list(found), boundaries[0]).items():
            found[device].before = RegisterReading(value=carry.register, at=carry.at)
        # Few begin earlier: those whose last samples in the ledger could only be decided by readings after it.
        groups: defaultdict[datetime, list[str]] = defaultdict(list)
        for device in found:
            groups[recent[device].begin if device in recent else made_until].append(device)
        for until, devices in groups.items():
            if until == boundaries[0]:
                continue
            times = [boundary for boundary in boundaries if boundary < until]
            sums = {device: sums for device in devices if (sums := found[device].groups) is not None}
            stretches = read_stretches(self.db, name, self.field, devices, [*times, until], grouped, sums)
            for device, parts in stretches.items():
                found[device].stretches[: len(parts)] = parts

    def read_recent(self, devices: Sequence[str], boundaries: Sequence[datetime]) -> dict[str, RecentSlots]:
        """The quarter-hours that the ledger does not have yet, of each device from where they begin."""
        begin, end = self.made_until(boundaries), boundaries[-1]
        if begin >= end or not devices or self.ledger_only:
            return {}
        key = (begin, boundaries[0], end, *devices)
        if (known := self._recent.get(key)) is not None:
            return known
        recent = RecentEnergy.open(self.db, self.datatype, self.field, self.readings, self.now, devices, zone=self.zone)
        if begin == self.watermark:
            found = recent.after_ledger(devices, begin, boundaries[0], end)
        else:
            found = recent.alone(devices, boundaries[0], end)
        self._recent[key] = found
        return found

    def made_until(self, boundaries: Sequence[datetime]) -> datetime:
        """Up to where the ledger answers; the rest, up to the last boundary, is made from readings."""
        return min(max(self.watermark or EPOCH, boundaries[0]), boundaries[-1])
