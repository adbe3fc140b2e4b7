"""The events of a batch: one for each frame, and what became known of frames that waited for their device."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from datetime import timedelta
from functools import partial

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.mongo.client import Document
from greenpower.mongo.events.store import amend_events, event_document, safe_event, store_events
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.batch import JoinedFragment, StoredBatch, StoredFrame

log = logging.getLogger(__name__)

# How often an event that is not there is looked for, and the pause between two looks. Looks are counted, not seconds: a
# slow MongoDB holds up both the event and the look for it.
AMEND_LOOKS = 60
AMEND_AGAIN_SECONDS = 0.05


class Events:
    """Writes events. One per ingest process."""

    def __init__(self, collection: AsyncCollection[Document], on_retry: Callable[[Exception], None]) -> None:
        self.collection = collection
        self._on_retry = on_retry
        self._in_hand: set[ObjectId] = set()

    async def keep(self, batch: StoredBatch) -> None:
        """Write a batch's events, waiting for MongoDB as long as it takes. Frames may be acknowledged then."""
        documents = [_event(frame) for frame in batch.frames]
        ids = {document["_id"] for document in documents}
        self._in_hand |= ids
        try:
            await self._keep(documents)
        finally:
            self._in_hand -= ids

    async def _keep(self, documents: list[Document]) -> None:
        try:
            await self._store(documents)
        except Exception:
            log.exception("the events of %d frames could not be stored together, trying each alone", len(documents))
            for document in documents:
                await self._store_alone(document)

    async def amend(self, batch: StoredBatch) -> None:
        """Write into the events of frames that waited what is known since they were joined.

        A fragment can be found before its event is written: by a batch in flight beside this one, or by another
        process. An event that this process is about to write is waited for. One of another process is looked for
        again, for a while: that process may have been killed.
        """
        changes: dict[ObjectId, Document] = {}
        for joined in batch.joined:
            if joined.event_id is not None:
                _merge(changes.setdefault(joined.event_id, {}), joined)
        looks = 0
        while changes:
            in_hand = not self._in_hand.isdisjoint(changes)
            missing = await until_written(partial(amend_events, self.collection, changes), on_retry=self._on_retry)
            looks += not in_hand
            if looks >= AMEND_LOOKS:
                break
            changes = {event_id: change for event_id, change in changes.items() if event_id in missing}
            if changes:
                await asyncio.sleep(AMEND_AGAIN_SECONDS)

    async def _store(self, documents: list[Document]) -> None:
        await until_written(lambda: store_events(self.collection, documents), on_retry=self._on_retry)

    async def _store_alone(self, document: Document) -> None:
        try:
            await self._store([document])
        except Exception as error:
            log.exception("the event %s could not be stored as it is", document["_id"])
            await self._store([safe_event(document, f"{type(error).__name__}: {error}")])


def _event(frame: StoredFrame) -> Document:
    fragments = frame.fragments
    return event_document(
        type_name=frame.type_name,
        topic=frame.topic,
        device_id=frame.device_id,
        received_at=frame.received_at,
        outcome=frame.outcome,
        raw=frame.raw,
        reason=frame.reason,
        detail=frame.detail,
        left_out=frame.left_out,
        conflicts=frame.conflicts,
        timestamps=(fragments[0].timestamp,) if len(fragments) == 1 else [item.timestamp for item in fragments],
        clock=frame.clock,
        offset=frame.offset,
        event_id=frame.event_id,
        key=frame.key,
    )


def _merge(change: Document, joined: JoinedFragment) -> None:
    """Add to an event's change what a fragment says. A frame may hold fragments of several readings."""
    fragment = joined.fragment
    change["device_id"] = fragment.device_id
    if "timestamp" in change:
        before = change["timestamp"]
        change["timestamp"] = [*(before if isinstance(before, list) else [before]), fragment.timestamp]
    else:
        change["timestamp"] = fragment.timestamp
    if joined.clock:
        change["clock"] = joined.clock
    if joined.offset is not None:
        change["offset_ms"] = joined.offset // timedelta(milliseconds=1)
    if fragment.conflicts:
        change["conflicts"] = [*change.get("conflicts", ()), *fragment.conflicts]
    if fragment.fault:
        change["detail"] = fragment.fault
