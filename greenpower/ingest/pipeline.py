"""The pipeline: match, parse, check, settle the time, store readings, then events, then count.

What belongs here: the order of the steps and each frame's outcome. What does not: how a step is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Sequence
from time import perf_counter

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.bus.publisher import Publisher
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival, Found
from greenpower.ingest.batcher import Batcher
from greenpower.ingest.metrics import Metrics
from greenpower.ingest.steps.answers import Answers
from greenpower.ingest.steps.clock import ClockRule
from greenpower.ingest.steps.invalidation import Invalidator
from greenpower.ingest.steps.pairing import AGAIN, Pairing
from greenpower.ingest.steps.policy import admit
from greenpower.ingest.steps.presence import Presence
from greenpower.ingest.steps.problem_log import ProblemLog, fields
from greenpower.ingest.steps.reader import Reader
from greenpower.ingest.steps.redelivery import drop_redelivered
from greenpower.ingest.steps.timekeeper import Timekeeper
from greenpower.mongo.client import Document
from greenpower.mongo.devices.settings import KnownDevices
from greenpower.mongo.events.store import Outcome, event_document, raw_document, store_events
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.late import patience
from greenpower.mongo.readings.store import Draft, Part, group_parts, store_readings
from greenpower.mongo.schema.layout import ANSWERS, CLOCKS, DEVICE_SETTINGS, EVENTS, INVALIDATIONS, PARTS, SEEN

log = logging.getLogger(__name__)

Settled = tuple[Arrival, Outcome, str]


class Pipeline:
    """Takes frames from every source and stores them. One an ingest process, on its event loop."""

    def __init__(
        self,
        *,
        registry: Registry,
        settings: Settings,
        db: AsyncDatabase[Document],
        metrics: Metrics,
        publisher: Publisher | None = None,
    ) -> None:
        self.db = db
        self.metrics = metrics
        self.reader = Reader(registry, settings.max_frame_bytes)
        self.devices = KnownDevices(db[DEVICE_SETTINGS])
        self.open = settings.device_policy == "open"
        self.clock = Timekeeper(db[CLOCKS], ClockRule.of(settings), self._on_retry, self.devices)
        self.presence = Presence(db[SEEN])
        self.publisher = publisher
        self.pairing = Pairing(db[PARTS], self._on_retry)
        self.invalidator = Invalidator(db[INVALIDATIONS], self._on_retry)
        self.answers = Answers(registry, db[ANSWERS], self._on_retry)
        self.problem_log = ProblemLog()
        self.batcher = Batcher(self._process)
        self._limit = settings.max_frame_bytes
        self._patience = patience(settings)

    def submit(self, arrival: Arrival) -> asyncio.Future[None]:
        """Take a frame. The answer ends when its reading and its event are stored for good; until then it must not be
        acknowledged."""
        self.reader.shorten(arrival)
        return self.batcher.add(arrival)

    async def drain(self) -> None:
        """Store all that was submitted."""
        await self.batcher.drain()

    def _on_retry(self, _: Exception) -> None:
        self.metrics.retries.inc()

    async def _process(self, arrivals: list[Arrival]) -> None:
        began = perf_counter()
        found = [item for arrival in arrivals for item in self.reader.read(arrival)]
        self.metrics.count_received(arrivals)
        try:
            settled = await self._settle(arrivals, found)
        except Exception:
            log.exception("a batch of %d frames failed, trying each alone", len(arrivals))
            settled = [await self._settle_alone(arrival, found) for arrival in arrivals]
        self.metrics.count_outcomes(settled)
        self.presence.note(arrivals)
        if self.publisher is not None:
            self._tell(arrivals, self.publisher)
        self.metrics.batch_frames.observe(len(arrivals))
        self.metrics.write_seconds.observe(perf_counter() - began)

    def _tell(self, arrivals: list[Arrival], publisher: Publisher) -> None:
        """Hand what is new in a stored batch to the publisher, which sends it in its own time."""
        for arrival in arrivals:
            name = arrival.type_name
            for part in arrival.parts:
                if part.new and name is not None:
                    publisher.offer(name, part.device_id, part.timestamp, part.received_at, part.payload)

    async def _settle(self, arrivals: list[Arrival], found: list[Found]) -> list[Settled]:
        """Store readings and events of a batch. Safe to call again."""
        paired, waited = await self.pairing.pair(found)
        if not self.open:
            paired = admit(paired, self.devices)
        await self.clock.settle(paired)
        await self._store(await drop_redelivered(self.db, paired, self._on_retry))
        await self.invalidator.mark(paired)
        await self.pairing.forget(waited)
        await self.answers.keep(arrivals)
        settled = [(arrival, *_outcome(arrival)) for arrival in arrivals]
        for arrival, outcome, reason in settled:
            arrival.outcome, arrival.reason = outcome, reason
        events = [self._event(*item) for item in settled]
        await until_written(lambda: store_events(self.db[EVENTS], events), on_retry=self._on_retry)
        self.problem_log.tell(events)
        if waited:
            self.problem_log.joined(item.arrival for item in paired if item.arrival.source == AGAIN)
        return settled

    async def _settle_alone(self, arrival: Arrival, found: list[Found]) -> Settled:
        """One frame of a batch in which something unforeseen failed: if it is this one, it is rejected."""
        arrival.parts = []
        try:
            [settled] = await self._settle([arrival], [item for item in found if item.arrival is arrival])
        except Exception as error:
            log.exception("a frame on %a failed", arrival.topic, extra=fields(arrival.id))
            arrival.parts = []
            arrival.rejected, arrival.detail = "internal-error", f"{type(error).__name__}: {error}"[:200]
            [settled] = await self._settle([arrival], [])
        return settled

    async def _store(self, found: Iterable[Found]) -> None:
        parts: defaultdict[str, list[Part]] = defaultdict(list)
        for item in found:
            arrival = item.arrival
            assert item.device_id is not None and item.time is not None and arrival.datatype is not None
            part = Part(item.device_id, arrival.topic, item.time, arrival.received_at, item.payload, item.complete)
            arrival.parts.append(part)
            arrival.clock, arrival.offset = item.clock, item.offset
            parts[arrival.datatype.collection].append(part)
        for collection, several in parts.items():
            await self._store_drafts(collection, group_parts(several))

    async def _store_drafts(self, collection: str, drafts: list[Draft]) -> None:
        await until_written(
            lambda: store_readings(self.db[collection], drafts, patience=self._patience), on_retry=self._on_retry
        )

    def _event(self, arrival: Arrival, outcome: Outcome, reason: str) -> Document:
        parts = arrival.parts
        conflicts: Sequence[str] = ()
        timestamps = arrival.times
        if len(parts) == 1:  # nearly all
            conflicts, timestamps = parts[0].conflicts, (parts[0].timestamp, *timestamps)
        elif parts:
            conflicts = [name for part in parts for name in part.conflicts]
            timestamps = (*(part.timestamp for part in parts), *timestamps)
        return event_document(
            type_name=arrival.type_name,
            topic=arrival.topic,
            device_id=parts[0].device_id if parts else arrival.device,
            received_at=arrival.received_at,
            outcome=outcome,
            raw=arrival.raw or raw_document(arrival.payload, self._limit),
            reason=reason,
            detail=arrival.detail,
            left_out=arrival.left_out,
            conflicts=conflicts,
            timestamps=timestamps,
            clock=arrival.clock,
            offset=arrival.offset,
            event_id=arrival.event_id,
        )


def _outcome(arrival: Arrival) -> tuple[Outcome, str]:
    """What became of a frame, and why where it did not add anything."""
    for part in arrival.parts:
        if part.new:
            return Outcome.STORED, ""
    if arrival.rejected:
        return Outcome.REJECTED, arrival.rejected
    if arrival.noted:
        return Outcome.NOTED, arrival.noted
    faults = [part.fault for part in arrival.parts if part.fault]
    if faults:
        arrival.detail = faults[0]
        return Outcome.REJECTED, "unstorable"
    return Outcome.DUPLICATE, arrival.duplicate
