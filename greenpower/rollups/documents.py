"""Making the documents of a tier from one source: copies of readings, buckets from readings, buckets from buckets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from greenpower.measure.bucket import Bucket, by_window, merge_buckets
from greenpower.measure.counter.dip_filter import SAMPLES_BEFORE
from greenpower.measure.counter.register import CounterEvent
from greenpower.measure.spec import NO_DECISIONS
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.incidents import save_incidents
from greenpower.mongo.rollups.source import BUCKET, READING, any_before, by_device, newest_before
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.look_around import DeviceReadings, roll_device
from greenpower.rollups.plan import TierSource
from greenpower.rollups.tier_run import TierRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """What is to be made: the documents of `[begin, end)`, of some devices or (None) of all.

    as_of: taken before anything was read.
    """

    source: TierSource
    begin: datetime
    end: datetime
    devices: Sequence[str] | None
    as_of: datetime


@dataclass(slots=True)
class Made:
    """What became of a task. revisit: (device, time) of samples before it that only its readings decided."""

    documents: list[Document] = field(default_factory=list)
    revisit: set[tuple[str, datetime]] = field(default_factory=set)


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
    found = by_device(run.db[task.source.collection], task.begin, task.end, task.devices, BUCKET)
    made = Made()
    for device, documents in found.items():
        decisions = run.decisions.get(device, NO_DECISIONS)
        buckets = (
            merge_buckets(parts, start, run.spec, decisions) for start, parts in by_window(documents, window).items()
        )
        made.documents += _documents(run, device, buckets, task, window)
    return made


def _roll(run: TierRun, task: Task, window: int) -> Made:
    source = run.db[task.source.collection]
    found = by_device(source, task.begin, task.end, task.devices, READING)
    before: Mapping[str, list[Document]] = {}
    counting = bool(run.spec.counters)
    if counting and found and any_before(source, task.begin):
        before = dict(newest_before(source, list(found), task.begin, SAMPLES_BEFORE))
    made = Made()
    incidents: list[tuple[str, CounterEvent]] = []
    for device, inside in found.items():
        readings = DeviceReadings(device=device, before=before.get(device, []), inside=inside)
        rolled = roll_device(run, source, readings, task.begin, task.end, window)
        made.documents += _documents(run, device, rolled.buckets, task, window)
        made.revisit |= {(device, time) for time in rolled.revisit}
        incidents += ((device, incident) for incident in rolled.incidents)
    if counting:
        devices = found.keys() | set(task.devices or ())
        stretches = [(device, task.begin, task.end) for device in devices]
        save_incidents(run.db[INCIDENTS], run.plan.datatype.name, incidents, stretches, task.as_of)
    return made


def _documents(run: TierRun, device: str, buckets: Iterable[Bucket], task: Task, window: int) -> list[Document]:
    now = run.clock()
    length = timedelta(seconds=window)
    return [
        {
            "device_id": device,
            "timestamp": bucket.start,
            "payload": bucket.payload,
            "stats": bucket.stats,
            "coverage": {"count": bucket.count, "first": bucket.first, "last": bucket.last},
            "final": bucket.settled and bucket.start + length <= run.target,
            "as_of": task.as_of,
            "updated_at": now,
        }
        for bucket in buckets
    ]
