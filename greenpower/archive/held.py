"""The readings of a month that MongoDB holds, in order, and deleting those that the archive has.

What belongs here: these two queries. What does not: deciding what may be deleted.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from pymongo import ASCENDING, DeleteOne
from pymongo.collection import Collection

from greenpower.archive.columns import CODEC
from greenpower.archive.months import end_of_month
from greenpower.mongo.client import Document
from greenpower.mongo.readings.gathered import RECENT, SEEN_KEYS, seen_query
from greenpower.mongo.schema.layout import SEEN

DELETE_BATCH_ROWS = 1_000


def held_readings(
    collection: Collection[Document], month: datetime, devices: tuple[str, str] | None = None
) -> Iterator[Document]:
    """The readings of a month, by (device_id, timestamp). devices: the first and the last one. Raises PyMongoError."""
    query: Document = {"timestamp": {"$gte": month, "$lt": end_of_month(month)}}
    if devices is not None:
        query["device_id"] = {"$gte": devices[0], "$lte": devices[1]}
    order = [("device_id", ASCENDING), ("timestamp", ASCENDING)]
    yield from collection.with_options(codec_options=CODEC).find(query).sort(order).hint(order)


def holds_any(collection: Collection[Document], month: datetime) -> bool:
    """Whether MongoDB holds a reading of a month. Raises PyMongoError."""
    query = {"timestamp": {"$gte": month, "$lt": end_of_month(month)}}
    return collection.find_one(query, {"_id": 1}) is not None


def delete_archived(collection: Collection[Document], type_name: str, documents: Sequence[Document]) -> int:
    """Delete readings, in order, that nobody has written since they were read. Returns how many. Raises PyMongoError.

    The newest reading of a device stays, so that its last value is found without the archive. Where values come one by
    one, the readings stay that have the newest value of a field.
    """
    last = {document["device_id"]: document for document in documents}
    newest = {device: one["timestamp"] for device, one in last.items() if _is_newest(collection, one)}
    rows = collection.database[SEEN].find(seen_query(type_name, last), SEEN_KEYS)
    fields = {row["device_id"]: row["fields"] for row in rows if row.get("fields")}
    kept = {(device, time) for device, times in fields.items() for time in times.values()}
    # What `fields` does not know yet lies so close to the newest reading.
    begins = {device: time - RECENT if device in fields else time for device, time in newest.items()}
    queries = [
        {"_id": document["_id"], "updated_at": document["updated_at"]}
        for document in documents
        if (key := (document["device_id"], document["timestamp"])) not in kept
        and (key[0] not in begins or key[1] < begins[key[0]])
    ]
    if not queries:
        return 0
    return collection.bulk_write([DeleteOne(query) for query in queries], ordered=False).deleted_count


def _is_newest(collection: Collection[Document], document: Document) -> bool:
    later = {"device_id": document["device_id"], "timestamp": {"$gt": document["timestamp"]}}
    return collection.find_one(later, {"_id": 1}) is None
