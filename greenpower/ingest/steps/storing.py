"""Storing a batch's readings, and the value that says what became of it.

What belongs here: readings to their collections, each frame's outcome. What does not: the merge rule and the writes
(`greenpower.mongo.readings.store`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from time import monotonic

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.archive.bring_back import BringBack, may_be_archived
from greenpower.archive.errors import ArchiveFileError
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.pairing import JOINED
from greenpower.mongo.archive.manifest import archived_types
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import Outcome, raw_document
from greenpower.mongo.failure import until_written
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.batch import JoinedFragment, StoredBatch, StoredFrame
from greenpower.mongo.readings.gathered import separate_conflicts
from greenpower.mongo.readings.store import Fragment, Key, MergedReading, merge_fragments, store_readings
from greenpower.mongo.schema.layout import ARCHIVE_MANIFEST

log = logging.getLogger(__name__)

# How long it is known of which types something is archived. What is archived stays in MongoDB for longer after that.
ARCHIVED_TYPES_SECONDS = 60.0


class Storing:
    """Stores readings. collections: {type name: collection}. archive: brings back what is archived, if anything is. One
    per ingest process."""

    def __init__(
        self,
        db: AsyncDatabase[Document],
        collections: Mapping[str, str],
        patience: timedelta,
        on_retry: Callable[[Exception], None],
        archive: BringBack | None = None,
    ) -> None:
        self.db = db
        self._archive = archive
        self._archived: set[str] = set()
        self._archived_until = 0.0
        self.collections = collections
        self._patience = patience
        self._on_retry = on_retry

    async def store(self, readings: Iterable[FrameReading]) -> dict[str, list[MergedReading]]:
        """Store readings whose device and time are known, but for those that were stored before. By type name.

        Never fails: a reading that cannot be stored says so in its fragments.
        """
        fragments: defaultdict[str, list[Fragment]] = defaultdict(list)
        gathered: defaultdict[str, dict[Fragment, FrameReading]] = defaultdict(dict)
        for item in readings:
            if item.redelivered:
                continue
            arrival = item.arrival
            assert arrival.datatype is not None
            fragment = item.fragment()
            arrival.fragments.append(fragment)
            arrival.clock, arrival.offset = item.clock, item.offset
            fragments[arrival.datatype.name].append(fragment)
            if arrival.gather is not None and item.stamp is None:
                gathered[arrival.datatype.name][fragment] = item
        merged = {name: merge_fragments(several) for name, several in fragments.items()}
        for name, several in merged.items():
            await self._store(name, several)
        for name, items in gathered.items():
            moved = await separate_conflicts(merged[name], items, partial(self._store, name))
            for fragment, others in moved.items():
                _replace_fragment(items[fragment], fragment, others)
        return merged

    async def _store(self, name: str, readings: list[MergedReading]) -> None:
        try:
            await self._write(name, readings)
        except Exception:
            log.exception("%d readings of %s could not be stored together, trying each alone", len(readings), name)
        else:
            return
        # The same readings under the same ids: what the first try stored is found again, and is new.
        for reading in readings:
            try:
                await self._write(name, [reading])
            except Exception as error:
                log.exception("a reading of %a could not be stored", reading.fragments[0].device_id)
                reading.reject(f"{type(error).__name__}: {error}"[:200])

    async def _write(self, name: str, readings: list[MergedReading]) -> None:
        if (archive := self._archive) is not None:
            now = datetime.now(UTC)
            late = [item.key for item in readings if may_be_archived(item.key[1], now)]
            if late and name in await self._archived_types():
                await until_written(lambda: _bring_back(archive, name, late), on_retry=self._on_retry)
        collection = self.db[self.collections[name]]
        await until_written(
            lambda: store_readings(collection, readings, patience=self._patience), on_retry=self._on_retry
        )

    async def _archived_types(self) -> set[str]:
        """The types of which something is archived: of others nothing has to be brought back."""
        if monotonic() >= self._archived_until:
            manifest = self.db[ARCHIVE_MANIFEST]
            self._archived = await until_written(lambda: archived_types(manifest), on_retry=self._on_retry)
            self._archived_until = monotonic() + ARCHIVED_TYPES_SECONDS
        return self._archived


def _replace_fragment(item: FrameReading, fragment: Fragment, others: list[Fragment]) -> None:
    """Some or all values of a frame's fragment are stored with others."""
    kept = [one for one in item.arrival.fragments if one is not fragment or one.payload]
    item.arrival.fragments = [*kept, *others]
    item.time = others[-1].timestamp


async def _bring_back(archive: BringBack, type_name: str, keys: list[Key]) -> None:
    """Have the readings in MongoDB that these keys have in the archive, so that they meet. Raises PyMongoError."""
    try:
        await asyncio.to_thread(archive.bring_back, type_name, keys)
    except ArchiveFileError as error:
        # Stored all the same: whoever reads sees both as one reading, and so does the next run.
        log.warning("%d late readings of %s may be told as new: %s", len(keys), type_name, error)


def stored_batch(
    arrivals: Iterable[Arrival], readings: Iterable[FrameReading], merged: dict[str, list[MergedReading]], limit: int
) -> StoredBatch:
    """What a batch became, its readings being stored. limit: bytes of a payload that an event keeps."""
    joined = [item.arrival for item in readings if item.waiting is not None and item.arrival.source == JOINED]
    return StoredBatch(
        frames=[_stored_frame(arrival, limit) for arrival in arrivals],
        readings=merged,
        joined=[
            JoinedFragment(arrival.event_id, arrival.topic, fragment, arrival.clock, arrival.offset)
            for arrival in joined
            for fragment in arrival.fragments
        ],
    )


def _stored_frame(arrival: Arrival, limit: int) -> StoredFrame:
    outcome, reason = _outcome(arrival)
    arrival.outcome, arrival.reason = outcome, reason
    fragments = arrival.fragments
    return StoredFrame(
        arrival.event_id or new_id(),
        arrival.type_name,
        arrival.topic,
        fragments[0].device_id if fragments else arrival.device,
        arrival.received_at,
        outcome,
        reason,
        arrival.detail,
        arrival.left_out,
        fragments,
        arrival.clock,
        arrival.offset,
        arrival.raw or raw_document(arrival.payload, limit),
        arrival.key,
        arrival.alive,
    )


def _outcome(arrival: Arrival) -> tuple[Outcome, str]:
    """What became of a frame, and why where it did not add anything."""
    for fragment in arrival.fragments:
        if fragment.new:
            return Outcome.STORED, ""
    if arrival.rejected:
        return Outcome.REJECTED, arrival.rejected
    if arrival.noted:
        return Outcome.NOTED, arrival.noted
    for fragment in arrival.fragments:
        if fragment.fault:
            arrival.detail = fragment.fault
            return Outcome.REJECTED, "unstorable"
    return Outcome.DUPLICATE, arrival.duplicate
