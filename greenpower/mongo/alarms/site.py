"""What kinds of rules ask of the database beside readings: signs of life, listening spans, open incidents."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pymongo.database import Database

from greenpower.measure.presence import Span
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.incidents import OPEN
from greenpower.mongo.schema.layout import INCIDENTS, LISTENING, SEEN


def read_spans(db: Database[Document]) -> list[tuple[frozenset[str], Span]]:
    """All spans in which ingest listened: (sources, span). Raises PyMongoError."""
    shown = {"sources": 1, "since": 1, "until": 1}
    return [(frozenset(item["sources"]), Span(item["since"], item["until"])) for item in db[LISTENING].find({}, shown)]


def read_seen(db: Database[Document], keys: Iterable[str]) -> dict[str, Document]:
    """What ingest noted of devices, by `type|device`. Raises PyMongoError."""
    shown = {"device_id": 1, "last_heard": 1, "interval": 1}
    found = db[SEEN].find({"_id": {"$in": list(keys)}, "last_heard": {"$exists": True}}, shown)
    return {item["_id"]: item for item in found}


def seen_devices(db: Database[Document], type_name: str) -> list[str]:
    """The devices of a type that were heard. Raises PyMongoError."""
    return [item["device_id"] for item in db[SEEN].find({"type": type_name}, {"device_id": 1})]


def count_open_incidents(
    db: Database[Document], type_name: str, devices: Iterable[str], field: str | None
) -> dict[str, int]:
    """How many incidents of some devices wait for a decision. Raises PyMongoError."""
    where: Document = {"status": OPEN, "type": type_name, "current": True, "device_id": {"$in": list(devices)}}
    if field is not None:
        where["field"] = field
    group: list[dict[str, Any]] = [{"$match": where}, {"$group": {"_id": "$device_id", "count": {"$sum": 1}}}]
    with db[INCIDENTS].aggregate(group) as cursor:
        return {item["_id"]: item["count"] for item in cursor}
