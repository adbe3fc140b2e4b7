"""Replay: the readings of a span, rebuilt from their events with today's parser.

The events are ingested afresh, in the order received, into a collection beside the real one; then the span of the real
one is made equal to it. So a replay gives what a fresh ingest would, needs no more memory than ingest, and changes
nothing until all is parsed. Readings that something wrote meanwhile, and readings some of whose events have expired,
are left alone and counted.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any
from uuid import uuid4

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.asynchronous.database import AsyncDatabase

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.datatype.claim import PUSHED
from greenpower.ingest.arrival import FrameReading
from greenpower.ingest.replay.births import ReplayBirths
from greenpower.ingest.replay.clock import NO_EVENT, RecordedArrival, ReplayClock, event_of
from greenpower.ingest.steps.clock import ClockRule
from greenpower.ingest.steps.pairing import Pairing
from greenpower.ingest.steps.policy import REFUSED
from greenpower.ingest.steps.reader import Reader
from greenpower.ingest.steps.repeated_hours import RepeatedHours
from greenpower.mongo.client import Document
from greenpower.mongo.devices import clocks
from greenpower.mongo.devices.push_keys import find_push_key
from greenpower.mongo.devices.registered import KnownDevices
from greenpower.mongo.events.store import REDELIVERED, raw_bytes
from greenpower.mongo.readings.gathered import separate_conflicts
from greenpower.mongo.readings.replace import Changes, replace_span
from greenpower.mongo.readings.store import merge_fragments, store_readings
from greenpower.mongo.rollups.invalidations import Place, invalidate_async
from greenpower.mongo.rollups.unfinished import Unfinished, Work, note_async, remove_async
from greenpower.mongo.schema.layout import CLOCKS, DEVICE_SETTINGS, EVENTS, INVALIDATIONS, PUSH_KEYS, SESSIONS

EVENTS_PER_BATCH = 1_000
# Events that were settled without the parser: nothing to read again.
NOT_READ = frozenset({REDELIVERED, "retained", "too-large"})
EXPIRY_MARGIN = timedelta(hours=1)
MILLISECOND = timedelta(milliseconds=1)

Advance = Callable[[int], None]


@dataclass(slots=True, kw_only=True)
class Summary:
    """What a replay found: events read, those that gave a reading, rejected by reason; and what changed."""

    events: int = 0
    readings: int = 0
    rejected: dict[str, int] = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)


class Replay:
    """One replay of a type's readings with a timestamp in [since, until)."""

    def __init__(
        self,
        *,
        registry: Registry,
        settings: Settings,
        db: AsyncDatabase[Document],
        datatype: DataType,
        since: datetime,
        until: datetime,
    ) -> None:
        self.db = db
        self.datatype = datatype
        self.since, self.until = since, until
        self.began = datetime.now(UTC)
        self.rule = ClockRule.of(settings)
        self._policy = settings.device_policy
        self._retention = settings.mongo_events_ttl_seconds
        self._reader = Reader(registry, settings.max_frame_bytes)
        self._registry = registry
        self._devices_of_key: dict[ObjectId, tuple[str, ...]] = {}
        # By the clock rule, everything with a timestamp in the span was received here.
        self._received = {"$gte": since - self.rule.tolerance, "$lte": min(until + self.rule.backlog, self.began)}

    @property
    def horizon(self) -> datetime:
        """Readings first received before this may have lost events to retention."""
        if self._retention == 0:
            return datetime.min.replace(tzinfo=UTC)
        return self.began - timedelta(seconds=self._retention) + EXPIRY_MARGIN

    def _query(self) -> dict[str, Any]:
        # An event of no type may be of a topic that this type has claimed since.
        return {"received_at": self._received, "type": {"$in": [self.datatype.name, None]}}

    async def count(self) -> int:
        """How many events will be read."""
        return await self.db[EVENTS].count_documents(self._query())

    async def run(self, *, dry_run: bool = False, progress: Advance = lambda _: None) -> Summary:
        """Replay. Raises PyMongoError; running it again starts afresh and is safe."""
        token = uuid4().hex[:8]
        beside = self.db[f"replay_{token}_{self.datatype.collection}"]
        parts = self.db[f"replay_{token}_parts"]
        await beside.create_index([("device_id", ASCENDING), ("timestamp", ASCENDING)], unique=True)
        try:
            summary, clock = await self._rebuild(beside, parts, progress)
            note = Unfinished.of(self.datatype.name, Work.REPLAY, self.since, self.until)
            if not dry_run:
                # Killed right after a write, only its announcement is there, which may have been computed before it.
                await note_async(self.db[INVALIDATIONS], note)
            summary.changes = await replace_span(
                beside,
                self.db[self.datatype.collection],
                span=(self.since, self.until),
                written_before=self.began,
                received_after=self.horizon,
                announce=self._mark,
                dry_run=dry_run,
            )
            if not dry_run:
                await remove_async(self.db[INVALIDATIONS], note)
                for device, offset in clock.agreed.items():
                    await clocks.set_offset(self.db[CLOCKS], device, offset)
            return summary
        finally:
            await beside.drop()
            await parts.drop()

    async def _mark(self, keys: list[tuple[str, datetime]]) -> None:
        """Have the rollups of what changed computed again."""
        for tier in self.datatype.tiers[:1]:
            await invalidate_async(
                self.db[INVALIDATIONS], {Place.of(self.datatype.name, tier.prefix, *key) for key in keys}
            )

    async def _rebuild(
        self, beside: AsyncCollection[Document], parts: AsyncCollection[Document], progress: Advance
    ) -> tuple[Summary, ReplayClock]:
        summary = Summary()
        devices = KnownDevices(self.db[DEVICE_SETTINGS])
        await devices.refresh()
        repeated = RepeatedHours(self.db, self.rule.tolerance, collection_of=lambda _: beside, alone=True)
        clock = ReplayClock(self.rule, devices, repeated)
        pairing = Pairing(parts, lambda _: None)
        births = ReplayBirths(self.db[SESSIONS], self._registry, self.datatype)
        async for events in self._batches():
            readings: list[FrameReading] = []
            await self._learn_keys(events)
            arrivals = [arrival for event in events if (arrival := self._arrival(event)) is not None]
            book = await births.book(arrivals)
            for arrival in arrivals:
                found = self._reader.read(arrival, book)
                if arrival.datatype is self.datatype:
                    readings.extend(found)
                    if arrival.rejected:
                        summary.rejected[arrival.rejected] = summary.rejected.get(arrival.rejected, 0) + 1
            births.keep(book)
            paired = await pairing.pair(readings)
            admitted = _admitted(paired, self._is_taken(devices))
            clock.joined = await self._joined(admitted)
            await clock.settle(admitted)
            kept = [item for item in admitted if item.time is not None and self.since <= item.time < self.until]
            await self._store(beside, kept)
            await pairing.forget(paired)
            await repeated.end()
            summary.events += len(events)
            summary.readings += len(kept)
            progress(len(events))
        return summary, clock

    async def _store(self, beside: AsyncCollection[Document], items: list[FrameReading]) -> None:
        fragments = {item.fragment(): item.arrival.gather is not None and item.stamp is None for item in items}
        merged = merge_fragments(list(fragments))
        await store_readings(beside, merged)
        gathered = [fragment for fragment, is_gathered in fragments.items() if is_gathered]
        await separate_conflicts(merged, gathered, partial(store_readings, beside))

    def _is_taken(self, devices: KnownDevices) -> Callable[[str | None], bool]:
        """Whether frames that were refused when they came are taken now."""
        if self._policy == "registered":
            return devices.is_confirmed
        return lambda device_id: device_id in devices

    async def _joined(self, readings: list[FrameReading]) -> dict[ObjectId, Document]:
        """The events of fragments that waited, by id."""
        ids = [item.arrival.event_id for item in readings if event_of(item) is NO_EVENT]
        if not ids:
            return {}
        return {event["_id"]: event async for event in self.db[EVENTS].find({"_id": {"$in": ids}}, {"raw": 0})}

    async def _learn_keys(self, events: list[Document]) -> None:
        """Find the devices of the keys with which frames were pushed; none for all devices."""
        unknown = {event["key"] for event in events if "key" in event} - self._devices_of_key.keys()
        for key_id in unknown:
            if (key := await find_push_key(self.db[PUSH_KEYS], key_id)) is not None:
                self._devices_of_key[key_id] = key.devices

    async def _batches(self) -> AsyncIterator[list[Document]]:
        """The events in the order received, by position and not by one long cursor: a cursor may time out.

        An index on the time cannot give the order of those of one millisecond, so a batch ends where one does.
        """
        query = self._query()
        more = True
        while more:
            events = await self.db[EVENTS].find(query).sort("received_at", 1).limit(EVENTS_PER_BATCH + 1).to_list()
            if not events:
                return
            more = len(events) > EVENTS_PER_BATCH
            if more:
                last = events[-1]["received_at"]
                events = [event for event in events if event["received_at"] < last]
                if not events:
                    events = await self.db[EVENTS].find({**query, "received_at": last}).to_list()
                    last += MILLISECOND
                query = {**query, "received_at": {**self._received, "$gte": last}}
            yield sorted(events, key=lambda event: (event["received_at"], event["_id"]))

    def _arrival(self, event: Document) -> RecordedArrival | None:
        payload = raw_bytes(event)
        # A redelivered frame that has a timestamp stands for one whose event was never written.
        if payload is None or (event.get("reason") in NOT_READ and "timestamp" not in event):
            return None
        arrival = RecordedArrival(
            topic=event["topic"],
            payload=payload,
            received_at=event["received_at"],
            source="replay",
            event=event,
            event_id=event["_id"],
            key=event.get("key"),
        )
        if arrival.key is not None:
            # What it was not for then stays rejected. Of a key that is gone, its device is all that is known.
            known = self._devices_of_key.get(arrival.key, (event.get("device_id", ""),))
            arrival.allowed = known or None
        if arrival.topic.startswith(PUSHED) or self._registry.match_topic(arrival.topic) is None:
            # The type and the device are those of a gateway's registration, or of the path and key of a push.
            if event["type"] != self.datatype.name:
                return None
            arrival.datatype = self.datatype
            arrival.device = event.get("device_id")
        return arrival


def _admitted(readings: list[FrameReading], is_taken: Callable[[str | None], bool]) -> list[FrameReading]:
    """The readings but for those that were refused then and whose device is not taken now. What a refused frame
    would have joined is refused with it."""
    refused = {item.arrival: item.device_id for item in readings if event_of(item).get("reason") in REFUSED}
    if not refused:
        return readings
    names = set(refused.values())
    return [
        item
        for item in readings
        if is_taken(item.device_id)
        or not (item.arrival in refused or (event_of(item) is NO_EVENT and item.device_id in names))
    ]
