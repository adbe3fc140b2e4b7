"""The readings that alarms judge: what was written since a position, and the series around late ones.

Readings are looked at as soon as they are there, and once more when `CHANGES_HORIZON_SECONDS` have passed: by then
those of slower writers with older stamps are there, too (`greenpower.mongo.rollups.changes`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from pymongo import ASCENDING
from pymongo.collection import Collection

from greenpower.mongo.client import Document

# A round reads at most so many of a type at each look; the next goes on.
MAX_READINGS_PER_LOOK = 100_000
SERIES_PER_QUERY = 100
TICK = timedelta(milliseconds=1)


def reading_projection(fields: Iterable[str] | None) -> Document:
    """What is read of a reading. fields: of its values; None for all."""
    shown: Document = {"device_id": 1, "timestamp": 1, "received_at": 1, "updated_at": 1, "_id": 0}
    return {**shown, "payload": 1} if fields is None else {**shown, **{f"payload.{name}": 1 for name in fields}}


def find_written(
    readings: Collection[Document], since: datetime, until: datetime, projection: Document
) -> tuple[list[Document], datetime]:
    """The readings written in `(since, until]`, in order of it, and up to where they reach: less far where there are
    too many at once. Raises PyMongoError."""
    where = {"updated_at": {"$gt": since, "$lte": until}}
    cursor = readings.find(where, projection).sort("updated_at", ASCENDING).limit(MAX_READINGS_PER_LOOK)
    found = list(cursor)
    if len(found) < MAX_READINGS_PER_LOOK:
        return found, until
    # Of the last millisecond there may be more.
    last = found[-1]["updated_at"]
    return found, last - TICK if last - TICK > since else last


def find_series(
    readings: Collection[Document], spans: Mapping[str, tuple[datetime, datetime]], projection: Document
) -> Iterator[tuple[str, list[Document]]]:
    """The readings of devices between two times each, both inclusive, in order of time. Raises PyMongoError."""
    devices: Sequence[str] = list(spans)
    for at in range(0, len(devices), SERIES_PER_QUERY):
        several = devices[at : at + SERIES_PER_QUERY]
        either = [
            {"device_id": device, "timestamp": {"$gte": spans[device][0], "$lte": spans[device][1]}}
            for device in several
        ]
        series: dict[str, list[Document]] = {device: [] for device in several}
        for document in readings.find({"$or": either}, projection):
            series[document["device_id"]].append(document)
        for device, documents in series.items():
            documents.sort(key=lambda item: item["timestamp"])
            yield device, documents


def iterate_readings(
    readings: Collection[Document], device: str, since: datetime, fields: Iterable[str] | None
) -> Iterator[Document]:
    """The readings of a device from a time on, in order. Raises PyMongoError."""
    where = {"device_id": device, "timestamp": {"$gte": since}}
    yield from readings.find(where, reading_projection(fields)).sort("timestamp", ASCENDING)
