"""Readings whose values came one by one: what is stored of a slot, values that found their place taken, and the newest
value of each field.

What belongs here: what is special about them in MongoDB. What does not: which time a value gets
(`greenpower.ingest.steps.slots`), the merge rule (`store`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import datetime, timedelta

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.client import Document
from greenpower.mongo.readings.store import Fragment, Key, MergedReading, Number, merge_fragments

MILLISECOND = timedelta(milliseconds=1)
SLOTS_PER_QUERY = 500
# How often a value is moved on where others have its field, each time by a millisecond more than before: by 5 s in
# all. Then it stays a conflict of its event.
MAX_MOVES = 100
# `devices_seen` is written every few seconds: what is newer than it lies within this span before the newest reading.
RECENT = timedelta(minutes=2)

SEEN_KEYS = {"device_id": 1, "fields": 1}
READING_KEYS = {"device_id": 1, "timestamp": 1, "payload": 1}

Stored = list[tuple[datetime, dict[str, Number]]]
Span = tuple[str, datetime, datetime]  # device, begin, end


async def read_slots(collection: AsyncCollection[Document], spans: Sequence[Span]) -> dict[Key, Stored]:
    """What is stored of devices in `[begin, end)`: {(device, begin): [(time, payload), …]}. Raises PyMongoError."""
    found: dict[Key, Stored] = {}
    for first in range(0, len(spans), SLOTS_PER_QUERY):
        some = spans[first : first + SLOTS_PER_QUERY]
        wanted = [{"device_id": device, "timestamp": {"$gte": begin, "$lt": end}} for device, begin, end in some]
        ends: dict[str, list[tuple[datetime, datetime]]] = {}
        for device, begin, end in some:
            ends.setdefault(device, []).append((begin, end))
        cursor = collection.find({"$or": wanted}, {"device_id": 1, "timestamp": 1, "payload": 1})
        async for row in cursor:
            time = row["timestamp"]
            for begin, end in ends[row["device_id"]]:
                if begin <= time < end:
                    found.setdefault((row["device_id"], begin), []).append((time, row["payload"]))
    return found


async def separate_conflicts(
    readings: list[MergedReading],
    fragments: Iterable[Fragment],
    store: Callable[[list[MergedReading]], Awaitable[None]],
) -> dict[Fragment, list[Fragment]]:
    """Store values that found another value of their field at their time at the millisecond of their arrival, or later.

    readings: that were stored; those that are made are added. store: stores readings. Returns {fragment: those that
    have the values it could not give}; a fragment that is left without values is in no reading any more.
    """
    moved: dict[Fragment, list[Fragment]] = {}
    origin = {fragment: fragment for fragment in fragments}
    for move in range(1, MAX_MOVES + 1):
        again = {_moved_on(fragment, move * MILLISECOND): origin[fragment] for fragment in origin if fragment.conflicts}
        if not again:
            break
        emptied = {fragment for fragment in origin if not fragment.payload}
        for reading in readings:
            if not emptied.isdisjoint(reading.fragments):
                reading.fragments = [fragment for fragment in reading.fragments if fragment not in emptied]
        readings[:] = [reading for reading in readings if reading.fragments]
        made = merge_fragments(list(again))
        await store(made)
        readings += made
        for fragment, first in again.items():
            moved.setdefault(first, []).append(fragment)
        origin = again
    return {first: [fragment for fragment in several if fragment.payload] for first, several in moved.items()}


def _moved_on(fragment: Fragment, by: timedelta) -> Fragment:
    """The values of a fragment that are in conflict, at a later time. The fragment loses them."""
    arrived = fragment.received_at.replace(microsecond=fragment.received_at.microsecond // 1000 * 1000)
    time = max(arrived, fragment.timestamp + by)
    values = {name: value for name, value in fragment.payload.items() if name in fragment.conflicts}
    fragment.payload = {name: value for name, value in fragment.payload.items() if name not in fragment.conflicts}
    fragment.conflicts = ()
    return Fragment(
        fragment.device_id, fragment.topic, time, fragment.received_at, values, fragment.complete, fragment.undated
    )


class NewestValues:
    """The newest value of each field of a device. `values`: {field: value}; `times`: {field: time}."""

    __slots__ = ("times", "values")

    def __init__(self) -> None:
        self.values: dict[str, Number] = {}
        self.times: dict[str, datetime] = {}

    def add(self, time: datetime, payload: Mapping[str, Number]) -> None:
        """Take a reading."""
        for name, value in payload.items():
            if name not in self.times or time > self.times[name]:
                self.times[name], self.values[name] = time, value

    def older_than(self, time: datetime) -> dict[str, datetime]:
        """The times of the fields that are older than a time, by field."""
        return {name: found for name, found in self.times.items() if found < time}


def fold_newest(rows: Iterable[Document]) -> dict[str, NewestValues]:
    """The newest values of devices, by device. rows: readings with `device_id`, `timestamp` and `payload`."""
    found: dict[str, NewestValues] = {}
    for row in rows:
        found.setdefault(row["device_id"], NewestValues()).add(row["timestamp"], row.get("payload", {}))
    return found


async def recent_field_times(collection: AsyncCollection[Document], since: datetime) -> dict[str, dict[str, datetime]]:
    """When each field was measured last, of readings written since a time: {device: {field: time}}. Raises
    PyMongoError."""
    fields = {"$map": {"input": {"$objectToArray": "$payload"}, "in": {"k": "$$this.k", "v": "$timestamp"}}}
    pipeline: list[Document] = [
        {"$match": {"updated_at": {"$gte": since}}},
        {"$sort": {"timestamp": 1}},
        {"$group": {"_id": "$device_id", "times": {"$mergeObjects": {"$arrayToObject": fields}}}},
    ]
    rows = await collection.aggregate(pipeline, allowDiskUse=True)
    return {row["_id"]: row["times"] async for row in rows}


async def newest_of(
    collection: AsyncCollection[Document],
    seen: AsyncCollection[Document],
    type_name: str,
    newest: Mapping[str, datetime],
) -> dict[str, NewestValues]:
    """The newest values of devices, whose newest readings have these times. Raises PyMongoError."""
    if not newest:
        return {}
    fields = await seen.find(seen_query(type_name, newest), SEEN_KEYS).to_list()
    return fold_newest(await collection.find(newest_query(newest, fields), READING_KEYS).to_list())


def seen_query(type_name: str, devices: Iterable[str]) -> Document:
    """The filter of the documents of `devices_seen` that say when each field was measured last."""
    return {"_id": {"$in": [f"{type_name}|{device}" for device in devices]}}


def newest_query(newest: Mapping[str, datetime], seen: Iterable[Document]) -> Document:
    """The filter of the readings that have the newest value of each field.

    newest: the times of the newest readings, by device. seen: the devices' documents of `devices_seen`.
    """
    fields = {row["device_id"]: row.get("fields", {}) for row in seen}
    return {"$or": [span for device in newest for span in _spans(device, newest[device], fields.get(device, {}))]}


def _spans(device: str, newest: datetime, fields: Mapping[str, datetime]) -> list[Document]:
    begin = newest - RECENT
    spans: list[Document] = [{"device_id": device, "timestamp": {"$gte": begin, "$lte": newest}}]
    if older := sorted({time for time in fields.values() if time < begin}):
        spans.append({"device_id": device, "timestamp": {"$in": older}})
    return spans
