"""The interval ledger, written by the runs of one tier of each type: quarter-hours of its counters, from readings.

Where the tier rolls readings up, they come along with its buckets; where it merges finer buckets, the readings of the
counters are rolled up here. Never from anything but readings where these are whole: buckets say when their last sample
was, not when the energy was counted. What belongs here: what is written with a stretch that a run computes. What does
not: catching up (`ledger_catch_up`), the documents (`greenpower.mongo.energy.ledger`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from greenpower.measure.roll import Rolled
from greenpower.measure.slot import OPEN, QuarterSlots, Slot
from greenpower.measure.windows import HOUR, starts
from greenpower.mongo.adjustments.store import mark_stale
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected_by_device
from greenpower.mongo.energy.around import roll_devices
from greenpower.mongo.energy.before import look_before
from greenpower.mongo.energy.ledger import close_days, write_slots
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, LedgerPart, day_of
from greenpower.mongo.rollups.incidents import ended_falls
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.source import oldest_documents
from greenpower.mongo.rollups.stretch_readings import StretchReadings
from greenpower.mongo.rollups.watermarks import EPOCH, move_ranges, move_watermark
from greenpower.mongo.schema.layout import ADJUSTMENTS, INCIDENTS, INTERVALS
from greenpower.rollups.parts import StepPart, cut
from greenpower.rollups.plan import TierSource, make_plans
from greenpower.rollups.read_ahead import read_ahead
from greenpower.rollups.tier_run import TierRun

DeviceField = tuple[str, str]


def ledger_parts(device: str, rolled: Rolled, begin: datetime, end: datetime, length: int) -> Iterator[LedgerPart]:
    """What readings of a device became in `[begin, end)`, by counter. length: of its buckets in seconds."""
    window = timedelta(seconds=length)
    holds: defaultdict[str, dict[datetime, Any]] = defaultdict(dict)
    for bucket in rolled.buckets:
        for field, hold in bucket.holds.items():
            holds[field][bucket.start + window] = hold.to_document()
    for field, slots in rolled.slots.items():
        inside = slots if not slots or slots[-1].start < end else [slot for slot in slots if slot.start < end]
        yield LedgerPart(
            device=device,
            field=field,
            begin=begin,
            end=end,
            slots=inside,
            holds={time: hold for time, hold in holds[field].items() if time <= end} if field in holds else {},
        )


def write_ledger(
    run: TierRun, begin: datetime, end: datetime, devices: Sequence[str] | None, as_of: datetime, *, fresh: bool
) -> None:
    """Write the quarter-hours of `[begin, end)` from the readings of the counters. Raises PyMongoError."""
    for source, since, until in run.by_source(begin, end, of_readings=True):
        parts = cut(run, source, since, until, devices, fresh=fresh)
        for part, rolled in roll_parts(run, source, parts):
            store_parts(run, part, rolled, as_of, fresh=fresh)


def roll_parts(
    run: TierRun, source: TierSource, parts: Iterator[StepPart]
) -> Iterator[tuple[StepPart, list[LedgerPart]]]:
    """Each part of a stretch with the quarter-hours that its readings give. Raises PyMongoError."""
    for part, readings in read_ahead(parts, partial(_fetch, run, source)):
        yield part, _roll(run, source, part, readings)


def _fetch(run: TierRun, source: TierSource, part: StepPart) -> StretchReadings:
    """The readings of a part, with the fields that are counters."""
    shown: Document = {"_id": 0, "device_id": 1, "timestamp": 1, "clock": 1}
    shown |= {f"payload.{field}": 1 for field in sorted(run.spec.counters)}
    return StretchReadings.find(run.db[source.collection], part.begin, part.end, part.devices, shown).fetched()


def _roll(run: TierRun, source: TierSource, part: StepPart, fetched: StretchReadings) -> list[LedgerPart]:
    readings, context = run.db[source.collection], run.context
    found = corrected_by_device(fetched, run.corrections)
    before = look_before(context, readings, list(found), part.begin)
    length = run.plan.unit
    parts: list[LedgerPart] = []
    for device, rolled in roll_devices(context, readings, before, found, part.begin, part.end, length, slots=True):
        parts += ledger_parts(device, rolled, part.begin, part.end, length)
    return parts


def store_parts(run: TierRun, part: StepPart, parts: list[LedgerPart], as_of: datetime, *, fresh: bool) -> None:
    """Put what a part of a stretch became into the ledger, and clear what is there and has no sample any more."""
    if not fresh:
        there = {(item.device, item.field) for item in parts}
        parts = parts + [
            LedgerPart(device=device, field=field, begin=part.begin, end=part.end, slots=())
            for device, field in _known(run, part) - there
        ]
    if not parts:
        return
    _close_decided(run, parts)
    name = run.plan.datatype.name
    counters = {(item.device, item.field) for item in parts}
    # Before, for a run that dies here; and after, for what was evaluated meanwhile from what was there before.
    mark_stale(run.db[ADJUSTMENTS], name, counters, part.begin, part.end)
    # What is new was not read by anybody.
    turned: dict[str, datetime] | None = None if fresh else {}
    refused = write_slots(run.db, name, parts, as_of, run.clock(), turned)
    mark_stale(run.db[ADJUSTMENTS], name, counters, part.begin, part.end)
    invalidate_days(run, refused, part.begin, part.end)
    if turned:
        _invalidate_begins(run, turned)


def move_ledger(run: TierRun, begin: datetime, end: datetime) -> None:
    """Move the ledger's watermark over what is written, and close the days that are over. Raises PyMongoError.

    begin: where the ledger begins if it has none. Days are closed before the watermark of all device ranges moves over
    them, so by the run whose ranges were the last. Where that is cut off, the next run that moves anything does it.
    """
    if run.ledger is None or end < (run.ledger.until or EPOCH):
        return
    name = run.plan.datatype.name
    run.ledger.until = end
    if not run.is_whole:
        common = move_ranges(run.watermarks, name, INTERVALS, end, run.ranges)
        if common is None:
            return
        begin, end = min(begin, common), common
    # Always: what is computed may begin days after the watermark, when nothing was measured between.
    refused = close_days(run.db, name, begin, end, run.clock())
    invalidate_days(run, refused, EPOCH, end)
    move_watermark(run.watermarks, name, INTERVALS, end)


def invalidate_days(run: TierRun, days: Iterable[tuple[str, datetime]], begin: datetime, end: datetime) -> None:
    """Have the hours of days of devices computed again as far as they lie in `[begin, end)`."""
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    places = {
        Place.of(name, prefix, device, hour)
        for device, day in days
        for hour in starts(max(begin, day), min(end, day + DAY), HOUR)
    }
    if places:
        invalidate(run.invalidations, places)


def _invalidate_begins(run: TierRun, turned: Mapping[str, datetime]) -> None:
    """Have the first buckets of devices computed again that went on from what the ledger had open before them.

    turned: {device: the first quarter-hour at whose end that is another now}. A tier has no bucket before its first
    one to go on from, so it takes what is open there from the ledger.
    """
    places = set()
    for plan in make_plans(run.plan.datatype, run.settings):
        if plan.window is not None:
            oldest = oldest_documents(run.db[plan.collection], sorted(turned), {"_id": 0, "timestamp": 1})
            places |= {
                Place.of(run.plan.datatype.name, plan.tier.prefix, device, document["timestamp"])
                for device, document in oldest
                if turned[device] < document["timestamp"]
            }
    if places:
        invalidate(run.invalidations, places)


def _known(run: TierRun, part: StepPart) -> set[DeviceField]:
    """Of which devices and counters the ledger has days that a stretch touches."""
    query: Document = {"type": run.plan.datatype.name, "day": {"$gte": day_of(part.begin), "$lt": part.end}}
    if part.devices is not None:
        query["device_id"] = {"$in": list(part.devices)}
    found = run.db[INTERVALS].find(query, {"_id": 0, "device_id": 1, "field": 1})
    return {(document["device_id"], document["field"]) for document in found}


def _close_decided(run: TierRun, parts: Iterable[LedgerPart]) -> None:
    """Take the flag OPEN from quarter-hours whose incidents ended later than the readings around them tell."""
    flagged: defaultdict[DeviceField, list[Slot]] = defaultdict(list)
    for part in parts:
        if isinstance(part.slots, QuarterSlots):
            continue  # none of them is flagged
        for slot in part.slots:
            if slot.flags & OPEN:
                flagged[part.device, part.field].append(slot)
    for (device, field), slots in flagged.items():
        begin, end = slots[0].start, slots[-1].start + QUARTER
        ended, undecided = ended_falls(run.db[INCIDENTS], run.plan.datatype.name, device, field, begin, end)
        for slot in slots:
            over = slot.start + QUARTER
            if any(slot.start <= time < over for time in undecided):
                continue
            if any(since < over and slot.start < until for since, until in ended):
                slot.flags &= ~OPEN
