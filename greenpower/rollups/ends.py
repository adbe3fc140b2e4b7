"""What a counter's buckets say at the end of a stretch: the register, and the fall that is open there.

The next bucket of a device goes on from there. So where a stretch is computed again and another register or fall comes
out at its end, the next bucket that has the counter is computed again, too, and so on until nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from pymongo import ASCENDING
from pymongo.collection import Collection

from greenpower.measure.kinds import has_energy
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected_neighbours
from greenpower.mongo.energy.carries import energy_key
from greenpower.mongo.rollups.source import STATES, by_device
from greenpower.rollups.documents import Task
from greenpower.rollups.tier_run import TierRun

DeviceField = tuple[str, str]
Ends = dict[DeviceField, Any]


def read_ends(run: TierRun, task: Task) -> Ends:
    """The ends that are stored for a task's stretch. Raises PyMongoError."""
    if task.source.window is not None or not run.spec.counters:
        return {}
    found = by_device(run.output, task.begin, task.end, task.devices, {**STATES, "device_id": 1})
    return _ends(document for documents in found.values() for document in documents)


def changed_ends(before: Ends, documents: Iterable[Document]) -> set[DeviceField]:
    """Of which device and counter the end is another than before."""
    after = _ends(documents)
    return {place for place in before.keys() | after.keys() if before.get(place) != after.get(place)}


def _ends(documents: Iterable[Mapping[str, Any]]) -> Ends:
    """The ends of documents, those of each device in order of time."""
    ends: Ends = {}
    for document in documents:
        holds = document.get("holds") or {}
        for field, state in document["stats"].items():
            if has_energy(state):
                ends[document["device_id"], field] = (state.get("last"), state["last_at"], holds.get(field))
    return ends


def following(run: TierRun, places: Iterable[DeviceField], end: datetime) -> set[tuple[str, datetime]]:
    """The next bucket of each device that has the counter, from `end` on: (device, its window). Raises PyMongoError.

    Where all samples of a bucket were left out, it has no state of the counter, and is the next one all the same: what
    left them out may have changed. So the next reading says which it is, as far as there are readings.
    """
    readings = run.db[run.plan.datatype.collection]
    found = set()
    for device, field in places:
        place: Document = {"device_id": device, "timestamp": {"$gte": end}}
        states = {**place, f"stats.{field}.{energy_key(run.plan.datatype, field)}": {"$exists": True}}
        buckets = [_next(run.output, states)]
        if after := corrected_neighbours(
            readings, device, end, 1, before=False, fields=(field,), corrections=run.corrections, having=field
        ):
            window = floor(after[0]["timestamp"], run.plan.unit)
            buckets.append(_next(run.output, {"device_id": device, "timestamp": window}))
        if starts := [start for start in buckets if start is not None]:
            found.add((device, min(starts)))
    return found


def _next(collection: Collection[Document], query: Document) -> datetime | None:
    """The time of the next document."""
    document = collection.find_one(query, {"_id": 0, "timestamp": 1}, sort=[("timestamp", ASCENDING)])
    return None if document is None else document["timestamp"]
