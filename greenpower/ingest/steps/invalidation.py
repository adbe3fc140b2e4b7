"""Invalidating what a rollup may already have read past: by the clock after the write, before the acknowledgement.

A frame whose invalidation was not written is not acknowledged, so it comes again, is a duplicate, and its place is
invalidated then. So every late reading counts, new or not, unless its place is known to be invalid still.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from datetime import UTC, datetime

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import FrameReading
from greenpower.measure.windows import late_before
from greenpower.mongo.client import Document
from greenpower.mongo.failure import until_written
from greenpower.mongo.rollups.invalidations import Place, TierKey, invalidate_async, read_tokens, start_of_hour

# Places of a tier that are remembered; beyond it they are invalidated anew, which does no harm.
MAX_PLACES = 100_000

Spot = tuple[str, datetime]  # device, hour


class _Invalidated:
    """What this process has invalidated in a tier since a worker last read that, told by the token of that reading."""

    __slots__ = ("read", "spots")

    def __init__(self, read: ObjectId | None) -> None:
        self.read = read
        self.spots: set[Spot] = set()


class Invalidator:
    """Invalidates the places of late readings. One per ingest process."""

    def __init__(self, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]) -> None:
        self.collection = collection
        self._on_retry = on_retry
        self._invalidated: dict[TierKey, _Invalidated] = {}

    async def invalidate(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Invalidate the places of stored readings that are late, waiting for MongoDB as long as it takes."""
        if late := _late(readings, datetime.now(UTC)):
            await until_written(lambda: self._invalidate(late), on_retry=self._on_retry)
        return readings

    async def _invalidate(self, late: dict[TierKey, set[Spot]]) -> None:
        # Looked at after the readings were stored and before anything is invalidated: both matter (see
        # `greenpower.mongo.rollups.invalidations`).
        reads = await read_tokens(self.collection, late)
        for tier, read in reads.items():
            known = self._invalidated.get(tier)
            if known is None or known.read != read or len(known.spots) > MAX_PLACES:
                known = self._invalidated[tier] = _Invalidated(read)
            if new := late[tier] - known.spots:
                await invalidate_async(self.collection, [Place(*tier, device, hour) for device, hour in new])
                # Into the set of that reading, which by now may have been replaced.
                known.spots |= new


def _late(batch: Iterable[FrameReading], now: datetime) -> dict[TierKey, set[Spot]]:
    """The places of readings that a rollup may have read past."""
    limits: dict[str, tuple[datetime, set[Spot]] | None] = {}
    found: dict[TierKey, set[Spot]] = {}
    for item in batch:
        datatype = item.arrival.datatype
        if datatype is None or item.time is None or item.device_id is None:
            continue
        name = datatype.name
        if name not in limits:
            limits[name] = None
            if datatype.tiers:
                spots = found[name, datatype.tiers[0].prefix] = set()
                limits[name] = late_before(now, datatype.tiers[0].window), spots
        limit = limits[name]
        if limit is not None and item.time < limit[0]:
            limit[1].add((item.device_id, start_of_hour(item.time)))
    return {tier: spots for tier, spots in found.items() if spots}
