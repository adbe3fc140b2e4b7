"""The feed of changes: rows in the order in which they were last written, up to a safe horizon.

Whoever writes a row stamps it by his clock before others can see it. A reader that went up to now would pass over what
a slower writer has stamped and not yet stored. So nothing is shown that is younger than the longest that a writer may
take, and clocks may differ, together: until then every row with an older stamp has appeared. A writer that took longer,
because it was frozen, stamps what it wrote again (`greenpower.mongo.readings.late`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.query import Page, beyond, find_page

Position = tuple[datetime, ObjectId]


def find_changes(
    collection: Collection[Document],
    after: Position | None,
    horizon: datetime,
    limit: int,
    projection: Mapping[str, Any],
) -> Page:
    """The rows written before the horizon and behind a position, `limit` at most. Raises PyMongoError.

    A row that is written again appears again, behind; a reader that keeps the last it saw of each `_id` has a copy.
    """
    where: Document = {"updated_at": {"$lt": horizon}}
    if after is not None:
        where = {"$and": [where, beyond(after, by="updated_at", tie="_id", ascending=True)]}
    shown = {**projection, "updated_at": 1}
    return find_page(collection, where, by="updated_at", ascending=True, skip=0, limit=limit, projection=shown)
