"""Storing a batch's readings, and the value that says what became of it.

What belongs here: readings to their collections, each frame's outcome. What does not: the merge rule and the writes
(`greenpower.mongo.readings.store`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from datetime import timedelta

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.pairing import JOINED
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import Outcome, raw_document
from greenpower.mongo.failure import until_written
from greenpower.mongo.ids import new_id
from greenpower.mongo.readings.batch import JoinedFragment, StoredBatch, StoredFrame
from greenpower.mongo.readings.store import Fragment, MergedReading, merge_fragments, store_readings

log = logging.getLogger(__name__)


class Storing:
    """Stores readings. collections: {type name: collection}. One per ingest process."""

    def __init__(
        self,
        db: AsyncDatabase[Document],
        collections: Mapping[str, str],
        patience: timedelta,
        on_retry: Callable[[Exception], None],
    ) -> None:
        self.db = db
        self.collections = collections
        self._patience = patience
        self._on_retry = on_retry

    async def store(self, readings: Iterable[FrameReading]) -> dict[str, list[MergedReading]]:
        """Store readings whose device and time are known, but for those that were stored before. By type name.

        Never fails: a reading that cannot be stored says so in its fragments.
        """
        fragments: defaultdict[str, list[Fragment]] = defaultdict(list)
        for item in readings:
            if item.redelivered:
                continue
            arrival = item.arrival
            assert arrival.datatype is not None
            fragment = item.fragment()
            arrival.fragments.append(fragment)
            arrival.clock, arrival.offset = item.clock, item.offset
            fragments[arrival.datatype.name].append(fragment)
        merged = {name: merge_fragments(several) for name, several in fragments.items()}
        for name, several in merged.items():
            await self._store(name, several)
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
        collection = self.db[self.collections[name]]
        await until_written(
            lambda: store_readings(collection, readings, patience=self._patience), on_retry=self._on_retry
        )


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
