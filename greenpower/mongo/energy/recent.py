"""Recent energy: what the interval ledger does not have yet, rolled from readings, not stored.

The same functions make the ledger, so what is shown is what the next run stores. What belongs here: from when on to
roll, and what is taken of it. What does not: which samples around a stretch decide about it (`around`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.catalog.facts import ledger_tier
from greenpower.datatype import DataType, Kind
from greenpower.measure.slot import QUARTER_SECONDS, Slot
from greenpower.measure.spec import Spec
from greenpower.measure.windows import done_before, floor
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import read_sample_corrections
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.devices.zones import DeviceZones, read_zones
from greenpower.mongo.energy.around import roll_devices
from greenpower.mongo.energy.before import RollContext, look_before, read_inside
from greenpower.mongo.energy.carries import register_before
from greenpower.mongo.energy.stretch import RegisterReading
from greenpower.mongo.rollups.incidents import read_decisions
from greenpower.mongo.rollups.source import newest_documents
from greenpower.mongo.schema.layout import INCIDENTS

# Without a ledger, so many readings before a range tell the register before it.
READINGS_BEFORE_RANGE = 20
# How far back the quarter-hours of the ledger are made again where readings after it decide about them.
MAX_REVISIT = timedelta(days=1)
# Where a type has no tiers, there are no buckets.
NO_BUCKETS = "no_buckets"
# The buckets that rolling gives besides are not used: as few as possible.
WINDOW_SECONDS = 86_400
Rolled = tuple[list[Slot], set[datetime]]


@dataclass(slots=True, kw_only=True)
class RecentSlots:
    """The quarter-hours of a device from `begin` on. before: its register before the range, where this knows it."""

    begin: datetime
    slots: list[Slot]
    before: RegisterReading | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RecentEnergy:
    """Rolls one counter of a type. source: its readings. Its methods raise PyMongoError."""

    source: Collection[Document]
    field: str
    context: RollContext

    @classmethod
    def open(
        cls,
        db: Database[Document],
        datatype: DataType,
        field: str,
        source: str,
        now: datetime,
        devices: Sequence[str],
        *,
        zone: tzinfo,
    ) -> RecentEnergy:
        """A reader of a counter of some devices. source: the collection of the readings. zone: of devices without one
        of their own. Raises PyMongoError."""
        spec = Spec.from_datatype(datatype)
        tier = ledger_tier(datatype)
        context = RollContext(
            db=db,
            datatype=datatype,
            tier=db[NO_BUCKETS if tier is None else tier.prefix + datatype.collection],
            spec=replace(spec, kinds={field: spec.kind(field)}, limits={field: spec.limits[field]}),
            decisions=read_decisions(db[INCIDENTS], datatype.name, devices),
            powers=read_powers(db, devices),
            zones=DeviceZones(default=zone, own=read_zones(db, devices) if spec.kind(field) is Kind.DAILY else {}),
            corrections=read_sample_corrections(db, datatype.name, devices),
            settled_before=done_before(now, None),
        )
        return cls(source=db[source], field=field, context=context)

    def after_ledger(
        self, devices: Sequence[str], watermark: datetime, start: datetime, end: datetime
    ) -> dict[str, RecentSlots]:
        """What devices counted from the end of the ledger up to `end`, in a range that begins at `start` before that.

        Of a device whose last samples in the ledger could only be decided now, from there on.
        """
        found: dict[str, RecentSlots] = {}
        earlier: defaultdict[datetime, list[str]] = defaultdict(list)
        for device, (slots, revisit) in self._roll(devices, watermark, end).items():
            begin = watermark
            if revisit:
                begin = min(begin, max(start, begin - MAX_REVISIT, floor(min(revisit), QUARTER_SECONDS)))
            if begin < watermark:
                earlier[begin].append(device)
            else:
                found[device] = RecentSlots(begin=begin, slots=slots)
        for begin, group in earlier.items():
            for device, (slots, _) in self._roll(group, begin, end).items():
                found[device] = RecentSlots(begin=begin, slots=slots)
        return found

    def alone(self, devices: Sequence[str], start: datetime, end: datetime) -> dict[str, RecentSlots]:
        """What devices counted in a range of which the ledger has nothing, with the registers before it."""
        begins: defaultdict[datetime, list[str]] = defaultdict(list)
        shown = {"_id": 0, "timestamp": 1}
        where = {f"payload.{self.field}": {"$type": "number"}}
        rows = newest_documents(self.source, devices, start, READINGS_BEFORE_RANGE, shown, where)
        for device, readings in rows:
            begins[floor(readings[0]["timestamp"], QUARTER_SECONDS) if readings else start].append(device)
        found: dict[str, RecentSlots] = {}
        for begin, group in begins.items():
            for device, (slots, _) in self._roll(group, begin, end).items():
                found[device] = RecentSlots(begin=start, slots=slots, before=_last_before(slots, start))
        unknown = [device for device in devices if device not in found or found[device].before is None]
        for device, carry in register_before(
            self.context.db, self.context.datatype, unknown, self.field, start
        ).items():
            known = found.setdefault(device, RecentSlots(begin=start, slots=[]))
            known.before = RegisterReading(value=carry.register, at=carry.at)
        return found

    def _roll(self, devices: Sequence[str], begin: datetime, end: datetime) -> dict[str, Rolled]:
        """By device the quarter-hours of `[begin, end)`, and the times before it that only its samples decided."""
        shown = {"_id": 0, "device_id": 1, "timestamp": 1, "clock": 1, f"payload.{self.field}": 1}
        inside = read_inside(self.context, self.source, begin, end, devices, shown)
        before = look_before(self.context, self.source, list(inside), begin)
        found: dict[str, Rolled] = {}
        rolling = roll_devices(self.context, self.source, before, inside, begin, end, WINDOW_SECONDS, slots=True)
        for device, rolled in rolling:
            # What is only settled now counts as it did.
            found[device] = (list(rolled.slots.get(self.field, ())), rolled.revisit - rolled.resettle)
        return found


def _last_before(slots: Sequence[Slot], time: datetime) -> RegisterReading | None:
    """The last accepted sample before a time, which lies on a quarter-hour."""
    for slot in reversed(slots):
        if slot.start < time and slot.last_at is not None:
            return RegisterReading(value=slot.last, at=slot.last_at)
    return None
