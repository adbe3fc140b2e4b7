"""Open falls: registers that have fallen, and of which nobody knows yet whether they come back.

Until that is clear nothing is counted, and the quarter-hours of the ledger do not say so: how it ends would change them
all. What does not belong here: other incidents, which are flags of the quarter-hour that they are in.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from pymongo.collection import Collection

from greenpower.measure.counter.rules import Incident
from greenpower.mongo.client import Document


def read_open_falls(
    collection: Collection[Document], type_name: str, field: str, devices: Sequence[str], end: datetime
) -> dict[str, datetime]:
    """By device the time of the first fall of a counter before `end` that is open. Raises PyMongoError."""
    query: Document = {
        "type": type_name,
        "device_id": {"$in": list(devices)},
        "field": field,
        "at": {"$lt": end},
        "swap": False,
        "incident": Incident.FALL.value,
        "status": "open",
        "current": True,
    }
    found: dict[str, datetime] = {}
    for document in collection.find(query, {"_id": 0, "device_id": 1, "at": 1}):
        device, at = document["device_id"], document["at"]
        found[device] = min(at, found.get(device, at))
    return found
