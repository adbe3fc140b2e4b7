"""Decisions on incidents, and reports of meter swaps, whose hours are still to be invalidated.

The write that changes an incident leaves a token in it (`changed`), and what it touches (`touched`); both are removed
when all hours are invalidated, unless it has changed again meanwhile. So a decision whose invalidation was cut short is
honoured all the same: the next call does the rest, in whichever process. What does not belong here: the decisions
(`greenpower.mongo.rollups.decisions`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.hours import invalidate_counter
from greenpower.mongo.schema.layout import INCIDENTS


def invalidate_changed_incidents(
    db: Database[Document],
    datatypes: Iterable[DataType],
    settings: Settings,
    ids: Sequence[ObjectId] | None = None,
) -> int:
    """Invalidate what changed incidents touch. ids: only of these; None for all. Returns how many are done.

    Raises PyMongoError; the next call does the rest.
    """
    query: Document = {"changed": {"$type": "objectId"}}
    if ids is not None:
        query["_id"] = {"$in": list(ids)}
    known = {datatype.name: datatype for datatype in datatypes}
    done = 0
    for document in db[INCIDENTS].find(query, {"type": 1, "device_id": 1, "changed": 1, "touched": 1}).to_list():
        datatype = known.get(document["type"])
        if datatype is None:
            continue
        for stretch in document["touched"]:
            invalidate_counter(db, datatype, settings, document["device_id"], stretch["begin"], stretch["end"])
        same = {"_id": document["_id"], "changed": document["changed"]}
        db[INCIDENTS].update_one(same, {"$unset": {"changed": "", "touched": ""}})
        done += 1
    return done
