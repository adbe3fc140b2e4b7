"""The feed of changes: rows in the order in which they were last written, up to a safe horizon.

A writer stamps a row by its own clock before others can see it. A reader that read up to now would miss what a slower
writer has stamped and not yet stored. So a row is shown only when it is older than the longest time that a writer may
take and the difference of clocks together: by then every row with an older stamp has appeared. A writer that took
longer, because it was frozen, stamps its rows again (`greenpower.mongo.readings.late`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import pymongo
from bson import ObjectId
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS, Page, beyond, find_page
from greenpower.mongo.readings.federated import FederatedReadings

Position = tuple[datetime, ObjectId]


def find_changes(
    collection: Collection[Document],
    after: Position | None,
    horizon: datetime,
    limit: int,
    projection: Mapping[str, Any],
) -> Page:
    """The rows written before the horizon and behind a position, at most `limit`. Raises PyMongoError.

    A row that is written again appears again, later; a reader that keeps the last version of each `_id` has a copy.
    """
    shown = {**projection, "updated_at": 1}
    if isinstance(collection, FederatedReadings):
        with pymongo.timeout(QUERY_SECONDS):
            found = collection.find_updated(after, horizon, limit + 1, shown)
        return Page(documents=found[:limit], more=len(found) > limit)
    where: Document = {"updated_at": {"$lt": horizon}}
    if after is not None:
        where = {"$and": [where, beyond(after, by="updated_at", tie="_id", ascending=True)]}
    return find_page(collection, where, by="updated_at", ascending=True, skip=0, limit=limit, projection=shown)
