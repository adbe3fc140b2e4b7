"""Making the documents of a tier from one source: copies of readings, buckets from readings, buckets from buckets."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenpower.measure.bucket import Bucket, by_window, merge_buckets
from greenpower.measure.counter.counted import CounterEvent
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected_by_device
from greenpower.mongo.energy.around import roll_devices
from greenpower.mongo.energy.before import look_before
from greenpower.mongo.energy.ledger_part import LedgerPart
from greenpower.mongo.rollups.incidents import save_incidents
from greenpower.mongo.rollups.source import MERGED, READING, by_device
from greenpower.mongo.rollups.stretch_readings import StretchReadings
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.ledger import ledger_parts
from greenpower.rollups.parts import StepPart
from greenpower.rollups.plan import TierSource
from greenpower.rollups.tier_run import TierRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be made: the documents of `[begin, end)`, of some devices or (None) of all.

    as_of: taken before anything was read. ledger_end: where that part of it ends that is written into the ledger; None
    where there is none. readings: those of the stretch, where they are fetched already.
    """

    source: TierSource
    begin: datetime
    end: datetime
    devices: Sequence[str] | None
    as_of: datetime
    ledger_end: datetime | None = None
    readings: StretchReadings | None = None


@dataclass(slots=True)
class Made:
    """What became of a task. revisit: (device, time) of samples before it that only its readings decided; resettle:
    further ones, which matter only where their bucket is not final. parts: of the interval ledger. changed: (device,
    counter) whose register or open fall at the end of the stretch is another now. over: (device, begin, end) before the
    stretch: a change of unit withheld energy there and is over now."""

    documents: list[Document] = field(default_factory=list)
    revisit: set[tuple[str, datetime]] = field(default_factory=set)
    resettle: set[tuple[str, datetime]] = field(default_factory=set)
    parts: list[LedgerPart] = field(default_factory=list)
    changed: set[tuple[str, str]] = field(default_factory=set)
    over: list[tuple[str, datetime, datetime]] = field(default_factory=list)


def fetch_readings(run: TierRun, source: TierSource, part: StepPart) -> StretchReadings | None:
    """The readings of a part that is rolled up from readings, to be decoded later; None for another. Raises
    PyMongoError."""
    if run.plan.window is None or source.window is not None:
        return None
    return StretchReadings.find(run.db[source.collection], part.begin, part.end, part.devices, READING).fetched()


def make_documents(run: TierRun, task: Task) -> Made:
    """The documents of a task. Raises PyMongoError."""
    if run.plan.window is None:
        return _copy(run, task)
    if task.source.window is None:
        return _roll(run, task, run.plan.window)
    return _merge(run, task, run.plan.window)


def _copy(run: TierRun, task: Task) -> Made:
    found = by_device(run.db[task.source.collection], task.begin, task.end, task.devices, {"_id": 0})
    stamps = {"as_of": task.as_of, "updated_at": run.clock()}
    return Made([{**document, **stamps} for documents in found.values() for document in documents])


def _merge(run: TierRun, task: Task, window: int) -> Made:
    found = by_device(run.db[task.source.collection], task.begin, task.end, task.devices, MERGED)
    made = Made()
    for device, documents in found.items():
        buckets = (
            merge_buckets(parts, start, run.spec, length=window, settled_before=run.target)
            for start, parts in by_window(documents, window).items()
        )
        made.documents += _documents(run, device, buckets, task, window)
    return made


def _roll(run: TierRun, task: Task, window: int) -> Made:
    source, context = run.db[task.source.collection], run.context
    readings = task.readings or StretchReadings.find(source, task.begin, task.end, task.devices, READING)
    found = corrected_by_device(readings, run.corrections)
    before = look_before(context, source, list(found), task.begin, held=True)
    made = Made()
    incidents: list[tuple[str, CounterEvent]] = []
    done = task.ledger_end
    rolling = roll_devices(context, source, before, found, task.begin, task.end, window, slots=done is not None)
    for device, rolled in rolling:
        made.documents += _documents(run, device, rolled.buckets, task, window)
        made.revisit |= {(device, time) for time in rolled.revisit - rolled.resettle}
        made.resettle |= {(device, time) for time in rolled.resettle}
        incidents += ((device, incident) for incident in rolled.incidents)
        if done is not None:
            made.parts += ledger_parts(device, rolled, task.begin, done, window)
    if run.spec.counters:
        devices = found.keys() | set(task.devices or ())
        stretches = [(device, task.begin, task.end) for device in devices]
        over = save_incidents(run.db[INCIDENTS], run.plan.datatype.name, incidents, stretches, task.as_of)
        made.over = [(device, since, min(until, task.begin)) for device, since, until in over]
    return made


def _documents(run: TierRun, device: str, buckets: Iterable[Bucket], task: Task, window: int) -> list[Document]:
    now = run.clock()
    length = timedelta(seconds=window)
    return [
        {
            "device_id": device,
            "timestamp": bucket.start,
            **bucket.to_document(),
            "final": bucket.settled and bucket.start + length <= run.target,
            "as_of": task.as_of,
            "updated_at": now,
        }
        for bucket in buckets
    ]
