"""The devices of ranges, as far as a run has to know them: which are in a collection, listed once per run.

What belongs here: those lists. What does not: which range a device is in (`greenpower.mongo.rollups.ranges`).
"""

from __future__ import annotations

from collections import defaultdict

from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import Ranges, range_of
from greenpower.mongo.rollups.source import devices_of


class DeviceLists:
    """The devices of collections by range, each collection listed when it is first asked for.

    To be made after the time up to which windows are done was taken: a device that comes later has readings that are
    late then, so its hours are invalidated.
    """

    def __init__(self, db: Database[Document]) -> None:
        self.db = db
        self._found: dict[str, dict[int, list[str]]] = {}

    def of(self, collection: str, ranges: Ranges) -> list[str]:
        """The devices of a collection that are in some ranges. Raises PyMongoError."""
        by_range = self._found.get(collection)
        if by_range is None:
            by_range = self._found[collection] = defaultdict(list)
            for device in devices_of(self.db[collection]):
                by_range[range_of(device)].append(device)
        return [device for number in ranges for device in by_range.get(number, ())]
