"""Keeping adjustments: which are to be evaluated again, and what came out.

```
the ledger      marks ── writes ── marks
an evaluation            reads the mark ── reads the ledger ── writes the result ── removes the mark, if it is the same
```

The first mark is for a writer that dies; the second for an evaluation that has read what was there before. So a result
without a mark is of what the ledger holds. What does not belong here: evaluating (`evaluate`).
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import cast

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.collection import Collection

from greenpower.measure.adjustment.quarters import FIRST_TIME, LAST_TIME, Adjustment
from greenpower.mongo.adjustments.document import AdjustmentDocument, pack
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.mongo.rollups.watermarks import EPOCH

NOTHING = pack(Adjustment(needs_begin=FIRST_TIME, needs_end=LAST_TIME))


def mark_stale(
    collection: Collection[Document], type_name: str, counters: AnyOf[tuple[str, str]], begin: datetime, end: datetime
) -> int:
    """Have evaluated again what depends on the ledger of some counters, `(device, field)`, in `[begin, end)`.

    Returns how many they are. Raises PyMongoError.
    """
    query = {"type": type_name, "needs_end": {"$gt": begin}, "needs_begin": {"$lt": end}}
    shown = {"device_id": 1, "field": 1}
    touched = [
        document["_id"]
        for document in collection.find(query, shown)
        if (document["device_id"], document["field"]) in counters
    ]
    return mark(collection, touched)


def mark(collection: Collection[Document], correction_ids: Sequence[ObjectId]) -> int:
    """Have some evaluated again. Returns how many are kept. Raises PyMongoError."""
    if not correction_ids:
        return 0
    change = {"$set": {"stale": ObjectId()}}
    return collection.update_many({"_id": {"$in": list(correction_ids)}}, change).matched_count


def begin_adjustments(collection: Collection[Document], corrections: Iterable[CorrectionDocument]) -> None:
    """Keep corrections that were not evaluated yet, as stale, so that the ledger can mark them. Raises PyMongoError."""
    operations = [
        UpdateOne(
            {"_id": correction["_id"]},
            {
                "$setOnInsert": {
                    **{name: correction[name] for name in ("type", "device_id", "field")},
                    **NOTHING,
                    "stale": ObjectId(),
                    "as_of": EPOCH,
                    "updated_at": EPOCH,
                }
            },
            upsert=True,
        )
        for correction in corrections
    ]
    if operations:
        collection.bulk_write(operations, ordered=False)


def read_adjustments(
    collection: Collection[Document], correction_ids: Sequence[ObjectId], shown: Document | None = None
) -> dict[ObjectId, AdjustmentDocument]:
    """What is kept of some corrections, by their ids. shown: a projection. Raises PyMongoError."""
    if not correction_ids:
        return {}
    found = collection.find({"_id": {"$in": list(correction_ids)}}, shown)
    return {document["_id"]: cast("AdjustmentDocument", document) for document in found}


def read_stale(collection: Collection[Document], type_name: str) -> list[AdjustmentDocument]:
    """Those of a type that are to be evaluated again. Raises PyMongoError."""
    # Without the numbers, which are about to be replaced.
    shown = {"quarters": 0, "energy": 0, "silence": 0}
    found = collection.find({"type": type_name, "stale": {"$ne": None}}, shown)
    return [cast("AdjustmentDocument", document) for document in found]


def save_adjustment(
    collection: Collection[Document], kept: AdjustmentDocument, result: Adjustment, as_of: datetime, now: datetime
) -> bool:
    """Keep a result, unless a later one is there. kept: the document as it was before the ledger was read; as_of: taken
    before that, too.

    Returns whether it is up to date: if not, something changed meanwhile, and it is to be evaluated again. Raises
    PyMongoError.
    """
    place = {"_id": kept["_id"]}
    written = collection.update_one(
        {**place, "as_of": {"$lt": as_of}}, {"$set": {**pack(result), "as_of": as_of, "updated_at": now}}
    )
    if not written.matched_count:
        return False
    done = collection.update_one({**place, "as_of": as_of, "stale": kept["stale"]}, {"$set": {"stale": None}})
    if not done.matched_count:
        # Another evaluation may have removed a mark that this one has not seen.
        mark(collection, [kept["_id"]])
        return False
    return True


def remove_revoked(collection: Collection[Document], type_name: str, active: AnyOf[ObjectId]) -> int:
    """Remove what is kept of corrections that are not in force any more. Raises PyMongoError."""
    found = [document["_id"] for document in collection.find({"type": type_name}, {"_id": 1})]
    gone = [known for known in found if known not in active]
    return collection.delete_many({"_id": {"$in": gone}}).deleted_count if gone else 0
