"""Marking what a rollup may already have read past: by the clock after the write, before the frame is acknowledged.

A frame whose mark was not written is not acknowledged, so it comes again, is a duplicate, and is marked then: what is
marked is every reading, new or not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import Found
from greenpower.rollup.grace import late_before
from greenpower.store.client import Document
from greenpower.store.failure import until_written
from greenpower.store.marks import Place, mark


class Marker:
    """Marks late readings. One an ingest process."""

    def __init__(self, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]) -> None:
        self.collection = collection
        self._on_retry = on_retry

    async def mark(self, batch: Iterable[Found]) -> None:
        """Mark those of a batch of stored readings that are late, waiting for MongoDB as long as it takes."""
        now = datetime.now(UTC)
        limits: dict[str, datetime | None] = {}
        places: set[Place] = set()
        for found in batch:
            datatype = found.arrival.datatype
            if datatype is None or found.time is None or found.device_id is None:
                continue
            if datatype.name not in limits:
                limits[datatype.name] = late_before(now, datatype.tiers[0].window) if datatype.tiers else None
            limit = limits[datatype.name]
            if limit is not None and found.time < limit:
                places.add(Place.of(datatype.name, datatype.tiers[0].prefix, found.device_id, found.time))
        if places:
            await until_written(lambda: mark(self.collection, places), on_retry=self._on_retry)
