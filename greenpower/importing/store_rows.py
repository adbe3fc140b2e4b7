"""Storing a batch of rows: readings, then the places that rollups have to compute again.

What belongs here: the order of the writes, and what a dry run looks up instead. What does not: the merge rule
(`greenpower.mongo.readings.store`).

Every place of a batch is invalidated after the batch is stored, whether its rows were new or not: a run that was killed
may have stored them and not come so far. Run again, it finds duplicates and invalidates them; until then, and where it
is not run again, a note of unfinished work stands for them.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.archive.bring_back import BringBack, may_be_archived
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.measure.windows import late_before
from greenpower.mongo.archive.manifest import archived_types
from greenpower.mongo.client import Document
from greenpower.mongo.readings.late import patience
from greenpower.mongo.readings.store import Fragment, Key, MergedReading, merge_fragments, store_readings
from greenpower.mongo.rollups.invalidations import Place, invalidate_async
from greenpower.mongo.rollups.unfinished import Unfinished, Work, note_async, remove_async
from greenpower.mongo.rollups.watermarks import EPOCH, key
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST, INVALIDATIONS, WATERMARKS

KEYS_PER_QUERY = 500
MILLISECOND = timedelta(milliseconds=1)


class RowStore:
    """Where the rows of one import go. Blocks for the archive in a thread."""

    def __init__(self, db: AsyncDatabase[Document], datatype: DataType, settings: Settings, archive: BringBack) -> None:
        self.db = db
        self.datatype = datatype
        self._patience: timedelta = patience(settings)
        self._archive = archive
        self._is_archived: bool = False

    async def whole_from(self) -> datetime:
        """From when on no reading of the type has expired, as far as rollups have noted. Raises PyMongoError."""
        noted = await self.db[WATERMARKS].find_one({"_id": key(self.datatype.name, "")}, {"complete_from": 1})
        found: datetime = (noted or {}).get("complete_from", EPOCH)
        return found

    async def store(self, fragments: Sequence[Fragment]) -> None:
        """Store fragments, and write into them what became of them. Raises PyMongoError, ArchiveFileError; storing
        them again is safe."""
        readings = merge_fragments(list(fragments))
        if old := await self._old(readings):
            await asyncio.to_thread(self._archive.bring_back, self.datatype.name, old)
        keys = [reading.key for reading in readings]
        times = [time for _, time in keys]
        # Killed between the two writes, and not run again, nobody would compute what was stored.
        note = Unfinished.of(
            self.datatype.name, Work.IMPORT, min(times), max(times) + MILLISECOND, {device for device, _ in keys}
        )
        await note_async(self.db[INVALIDATIONS], note)
        await store_readings(self.db[self.datatype.collection], readings, patience=self._patience)
        await self._invalidate(keys)
        await remove_async(self.db[INVALIDATIONS], note)

    async def look_up(self, fragments: Sequence[Fragment]) -> None:
        """Write into fragments what would become of them. Raises PyMongoError, ArchiveFileError."""
        readings = merge_fragments(list(fragments))
        stored: dict[Key, Document] = {}
        if old := await self._old(readings):
            archived = await asyncio.to_thread(self._archive.look_up, self.datatype.name, old)
            stored = {one: dict(document["payload"]) for one, document in archived.items()}
        times: dict[str, list[datetime]] = {}
        for device, time in (reading.key for reading in readings):
            times.setdefault(device, []).append(time)
        collection = self.db[self.datatype.collection]
        # Each device by itself: MongoDB plans an `$or` of many pairs for longer than it reads them.
        for device, some in times.items():
            for first in range(0, len(some), KEYS_PER_QUERY):
                query = {"device_id": device, "timestamp": {"$in": some[first : first + KEYS_PER_QUERY]}}
                async for document in collection.find(query, {"device_id": 1, "timestamp": 1, "payload": 1}):
                    place = document["device_id"], document["timestamp"]
                    stored[place] = {**document["payload"], **stored.get(place, {})}
        for reading in readings:
            reading.fold(stored.get(reading.key, {}))

    async def _old(self, readings: Sequence[MergedReading]) -> list[Key]:
        """The keys of readings that the archive may have."""
        now = datetime.now(UTC)
        old = [reading.key for reading in readings if may_be_archived(reading.key[1], now)]
        if not old:
            return []
        # Asked for each batch until there is something: an import may take longer than a run of the archive.
        if not self._is_archived:
            self._is_archived = self.datatype.name in await archived_types(self.db[ARCHIVE_MANIFEST])
        return old if self._is_archived else []

    async def _invalidate(self, keys: Iterable[Key]) -> None:
        """Have the rollups of the first tier computed again; each tier passes it on to the next, and to the ledger."""
        for tier in self.datatype.tiers[:1]:
            late = late_before(datetime.now(UTC), tier.window)
            places = {Place.of(self.datatype.name, tier.prefix, *one) for one in keys if one[1] < late}
            if places:
                await invalidate_async(self.db[INVALIDATIONS], places)
