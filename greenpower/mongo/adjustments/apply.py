"""Applying corrections to what counters counted between boundaries, and naming them there.

What is kept of a correction is used where nothing that it depends on has changed. Otherwise it is evaluated here, from
the ledger and the readings after it, so that an answer is right as soon as a correction is made. A fixed energy has the
last word in its span: no other correction adds to it. What does not belong here: what people see of it
(`greenpower.api.energy`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from bson import ObjectId
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.measure.adjustment.quarters import Adjustment, quarter_of, start_of_quarter
from greenpower.measure.adjustment.weekdays import REFERENCE
from greenpower.mongo.adjustments.base_energy import BaseEnergy
from greenpower.mongo.adjustments.decided import close_decided
from greenpower.mongo.adjustments.document import AdjustmentDocument, unpack
from greenpower.mongo.adjustments.evaluate import Evaluation
from greenpower.mongo.adjustments.store import read_adjustments
from greenpower.mongo.adjustments.stretches import add_to_stretches, masks_of, may_touch, name_until_next_sample
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import OF_ENERGY, CorrectionDocument
from greenpower.mongo.corrections.store import read_active
from greenpower.mongo.devices.zones import read_zones
from greenpower.mongo.energy.ledger_part import DAY
from greenpower.mongo.energy.pending import ledger_prefixes, read_pending
from greenpower.mongo.energy.recent import MAX_REVISIT, RecentEnergy, RecentSlots
from greenpower.mongo.energy.stretch import DeviceEnergy
from greenpower.mongo.rollups.watermarks import EPOCH
from greenpower.mongo.schema.layout import ADJUSTMENTS, CORRECTIONS, INVALIDATIONS

# More are not evaluated for one answer: they are used as they are kept, and the answer is not final.
MAX_EVALUATED = 100
NO_ADJUSTMENT = Adjustment()


@dataclass(frozen=True, slots=True, kw_only=True)
class CorrectionReader:
    """Reads the corrections of one counter of a type and applies them. Its methods raise PyMongoError.

    readings: the collection of its readings. watermark: the ledger is made up to here. zone: of devices without one.
    """

    db: Database[Document]
    datatype: DataType
    field: str
    now: datetime
    readings: str
    watermark: datetime | None
    zone: ZoneInfo

    def read(self, devices: Sequence[str]) -> list[CorrectionDocument]:
        """The corrections of devices that are in force; of several for one incident the newest."""
        found = read_active(self.db[CORRECTIONS], type=self.datatype.name, devices=devices, field=self.field)
        newest = {item["incident_id"]: item for item in sorted(found, key=_made) if "incident_id" in item}
        return [item for item in found if "incident_id" not in item or newest[item["incident_id"]] is item]

    def apply(
        self,
        found: Mapping[str, DeviceEnergy],
        boundaries: Sequence[datetime],
        corrections: Sequence[CorrectionDocument],
    ) -> None:
        """Apply corrections, read before what was `found`, to its stretches between boundaries."""
        for correction in corrections:
            if correction["kind"] not in OF_ENERGY:
                name_until_next_sample(found[correction["device_id"]], boundaries, correction)
        energies = [item for item in corrections if item["kind"] in OF_ENERGY and may_touch(item, boundaries)]
        kept = read_adjustments(self.db[ADJUSTMENTS], [item["_id"] for item in energies])
        evaluated = self._evaluate([item for item in energies if self._is_open(kept.get(item["_id"]))], corrections)
        uncertain = {name for name, item in kept.items() if item["stale"] is not None}
        used = [item["_id"] for item in energies if item["_id"] not in evaluated]
        uncertain |= {name for name in used if name not in kept} | self._changed(used, kept)
        adjustments = {name: unpack(kept[name]) for name in used if name in kept} | evaluated
        pending = self._pending(energies, adjustments)
        for correction in energies:
            name = correction["_id"]
            adjustment = adjustments.get(name, NO_ADJUSTMENT)
            masks = masks_of(correction, corrections)
            unsure = name in uncertain or name in pending or not adjustment.ended
            add_to_stretches(
                found[correction["device_id"]].stretches, boundaries, correction, adjustment, masks, unsure=unsure
            )
        until = self.now if self.watermark is None else self.watermark
        base = BaseEnergy(db=self.db, type_name=self.datatype.name, field=self.field, until=until)
        close_decided(base, found, boundaries, energies)
        for device, energy in found.items():
            named = {name for stretch in energy.stretches for name in stretch.corrections}
            if named:
                energy.corrections = [
                    item for item in corrections if item["device_id"] == device and item["_id"] in named
                ]

    def _is_open(self, kept: AdjustmentDocument | None) -> bool:
        """Whether what is kept is not known to be right."""
        if kept is None or kept["stale"] is not None or self.watermark is None:
            return True
        # What is recent may reach back a little.
        return kept["needs_end"] > self.watermark - MAX_REVISIT

    def _changed(self, used: Sequence[ObjectId], kept: Mapping[ObjectId, AdjustmentDocument]) -> set[ObjectId]:
        """Which of those that were used as they were kept have changed since they were read, as the ledger may have."""
        again = read_adjustments(
            self.db[ADJUSTMENTS], [name for name in used if name in kept], {"stale": 1, "as_of": 1}
        )
        return {
            name
            for name in used
            if name in kept
            and (name not in again or again[name]["stale"] or again[name]["as_of"] != kept[name]["as_of"])
        }

    def _pending(
        self, corrections: Sequence[CorrectionDocument], adjustments: Mapping[ObjectId, Adjustment]
    ) -> set[ObjectId]:
        """Which corrections depend on hours that the rollups will compute again, wherever these are."""
        spans = {
            item["_id"]: (item["device_id"], adjustments[item["_id"]].needs_begin, adjustments[item["_id"]].needs_end)
            for item in corrections
            if item["_id"] in adjustments
        }
        if not spans or self.watermark is None:
            return set()
        devices = sorted({device for device, _, _ in spans.values()})
        begin = max(EPOCH, min(since for _, since, _ in spans.values()))
        end = min(self.now + DAY, max(until for _, _, until in spans.values()))
        prefixes = ledger_prefixes(self.datatype)
        pending = read_pending(self.db[INVALIDATIONS], self.datatype.name, prefixes, devices, begin, end)
        return {
            name
            for name, (device, since, until) in spans.items()
            if pending.all or any(since < end and begin < until for begin, end in pending.spans_of(device))
        }

    def _evaluate(
        self, corrections: Sequence[CorrectionDocument], others: Sequence[CorrectionDocument]
    ) -> dict[ObjectId, Adjustment]:
        """What corrections do, from the ledger and the readings after it."""
        if not corrections:
            return {}
        devices = sorted({item["device_id"] for item in corrections})
        evaluation = Evaluation(
            base=BaseEnergy(
                db=self.db,
                type_name=self.datatype.name,
                field=self.field,
                until=self.now,
                recent=self._recent(devices, min(item["begin"] for item in corrections)),
            ),
            others=others,
            zones=read_zones(self.db, devices),
            zone=self.zone,
            stale_after=self.datatype.stale_after,
        )
        return {item["_id"]: evaluation.of(item) for item in corrections[:MAX_EVALUATED]}

    def _recent(self, devices: Sequence[str], begin: datetime) -> Mapping[str, RecentSlots]:
        """The slots after the ledger, whatever the range of the question is: an estimate has one answer."""
        recent = RecentEnergy.open(self.db, self.datatype, self.field, self.readings, self.now, devices, zone=self.zone)
        if self.watermark is None:
            since = start_of_quarter(quarter_of(max(EPOCH, begin - REFERENCE - DAY)))
            return recent.alone(devices, since, self.now + DAY)
        return recent.after_ledger(devices, self.watermark, self.watermark - MAX_REVISIT, self.now + DAY)


def _made(correction: CorrectionDocument) -> tuple[datetime, int]:
    return correction["made_at"], correction["number"]
