"""Which corrections an answer about meter points names: those of devices that the caller may see.

A point counts what any device measured for it; a correction of a device elsewhere changes its numbers, and is not
named. What does not belong here: lists of corrections, which the database limits by itself.
"""

from __future__ import annotations

from collections.abc import Iterable

from bson import ObjectId
from flask import g

from greenpower.api.http.context import database
from greenpower.api.http.visible_devices import visible_devices
from greenpower.mongo.schema.layout import CORRECTIONS


def shown_corrections(ids: Iterable[ObjectId | str]) -> list[str]:
    """Those of some corrections that the caller may see. Raises PyMongoError."""
    names = list(map(str, ids))
    if not names or visible_devices() is None:
        return names
    known: dict[str, bool] = g.setdefault("shown_corrections", {})
    if new := [name for name in names if name not in known]:
        wanted = {"_id": {"$in": [ObjectId(name) for name in new]}}
        known |= dict.fromkeys(new, False)
        known |= {str(document["_id"]): True for document in database()[CORRECTIONS].find(wanted, {"_id": 1})}
    return [name for name in names if known[name]]
