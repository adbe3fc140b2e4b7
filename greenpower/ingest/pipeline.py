"""The pipeline: a batch of frames walks through the steps, is stored, and everyone is told what became of it.

    read > gather > pair > admit > settle the time > find what came before     each may reject or note a frame
    store > invalidate > keep answers                                its readings are stored: nothing undoes that
    events, journaled > amend those of frames that waited, forget what waited; then it may be acknowledged
    metrics, presence, bus, problem log                              all told by one value, `StoredBatch`

What belongs here: the order of the steps, and what happens where one fails. What does not: how a step is done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Iterator
from time import perf_counter

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.archive.bring_back import BringBack
from greenpower.bus.publisher import Publisher
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.batcher import Batcher
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.redelivered import Redelivered
from greenpower.ingest.spool import Left, Spool
from greenpower.ingest.steps.answers import Answers
from greenpower.ingest.steps.clock import ClockRule
from greenpower.ingest.steps.events import Events
from greenpower.ingest.steps.gathering import Gathering, settled_times
from greenpower.ingest.steps.invalidation import Invalidator
from greenpower.ingest.steps.message_ids import MessageIds
from greenpower.ingest.steps.pairing import Pairing
from greenpower.ingest.steps.policy import DevicePolicy
from greenpower.ingest.steps.presence import Presence
from greenpower.ingest.steps.problem_log import ProblemLog, fields
from greenpower.ingest.steps.reader import Reader
from greenpower.ingest.steps.redelivery import Redelivery
from greenpower.ingest.steps.sessions import Sessions
from greenpower.ingest.steps.storing import Storing, stored_batch
from greenpower.ingest.steps.timekeeper import Timekeeper
from greenpower.mongo.client import Document
from greenpower.mongo.devices.registered import KnownDevices
from greenpower.mongo.readings.batch import StoredBatch
from greenpower.mongo.readings.late import patience
from greenpower.mongo.schema.layout import (
    ANSWERS,
    CLOCKS,
    DEVICE_SETTINGS,
    EVENTS,
    INVALIDATIONS,
    MESSAGES,
    PARTS,
    SEEN,
    SESSIONS,
)

log = logging.getLogger(__name__)

# Of the frames of a batch that fail one by one, so many have a traceback in the log; each has its event.
MAX_TRACEBACKS = 3
# Frames of the spool that are stored before further ones are read.
RECOVERED_AT_ONCE = 4_000

# Takes readings, returns those that go on. It never repeats what another step has finished.
Step = Callable[[list[FrameReading]], Awaitable[list[FrameReading]]]


class Pipeline:
    """Takes frames from every source and stores them. One per ingest process, on its event loop."""

    def __init__(
        self,
        *,
        registry: Registry,
        settings: Settings,
        db: AsyncDatabase[Document],
        metrics: IngestMetrics,
        publisher: Publisher | None = None,
        spool: Spool | None = None,
    ) -> None:
        self.db = db
        self.metrics = metrics
        self.reader = Reader(registry, settings.max_frame_bytes)
        self.devices = KnownDevices(db[DEVICE_SETTINGS])
        self.policy = DevicePolicy(self.devices, settings, metrics)
        self.sessions = Sessions(
            db[SESSIONS],
            self.reader,
            takes=self.policy.takes,
            on_retry=self._on_retry,
            begun=metrics.sessions_begun,
            late=metrics.sessions_late,
        )
        self.pairing = Pairing(db[PARTS], self._on_retry)
        self.clock = Timekeeper(db[CLOCKS], ClockRule.of(settings), self._on_retry, self.devices)
        self.message_ids = MessageIds(db[MESSAGES], self._on_retry)
        self.redelivery = Redelivery(db, self._on_retry)
        collections = {datatype.name: datatype.collection for datatype in registry}
        self.archive = BringBack(settings, registry)
        self.storing = Storing(db, collections, patience(settings), self._on_retry, self.archive)
        self.invalidator = Invalidator(db[INVALIDATIONS], self._on_retry)
        self.answers = Answers(registry, db[ANSWERS], self._on_retry)
        self.events = Events(db[EVENTS], self._on_retry)
        self.presence = Presence(db[SEEN], self.policy.takes, [datatype for datatype in registry if datatype.gathers])
        self.problem_log = ProblemLog()
        self.publisher = publisher
        self.batcher = Batcher(self._process, spool)
        self.spool = spool
        self._redelivered = Redelivered()
        self._stored: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._stored.set_result(None)
        self._limit = settings.max_frame_bytes
        self.gathering = Gathering(db, collections, self._on_retry, shared=settings.mqtt_shared)
        self._gathers = any(datatype.gathers for datatype in registry)
        self._before: tuple[Step, ...] = (
            self.pairing.pair,
            self.policy.admit,
            self.clock.settle,
            self.message_ids.look,
            self.redelivery.look,
        )
        self._listeners: list[Callable[[StoredBatch], None]] = [
            self.metrics.count_outcomes,
            self.presence.note,
            self.problem_log.tell,
        ]
        if publisher is not None:
            self._listeners.append(publisher.take)

    def submit(self, arrival: Arrival) -> asyncio.Future[None]:
        """Take a frame. The answer ends when its reading and its event are stored for good; until then it must not be
        acknowledged."""
        if self._redelivered.take(arrival):
            return self._stored
        self.reader.shorten(arrival)
        return self.batcher.add(arrival)

    async def recover(self) -> int:
        """Store the frames that ended processes left in the spool. Returns their number. Call before a source starts.

        What cannot be stored stays there for the next process.
        """
        if self.spool is None:
            return 0
        found = 0
        with self.spool.left(self.reader.registry) as files:
            for some in in_groups(files, RECOVERED_AT_ONCE):
                answers = {self.batcher.add(arrival) for left in some for arrival in left.arrivals}
                await asyncio.gather(*answers, return_exceptions=True)
                if any(answer.cancelled() or answer.exception() is not None for answer in answers):
                    continue
                for left in some:
                    left.remove()
                    for arrival in left.arrivals:
                        self._redelivered.expect(arrival)
                        found += 1
        return found

    async def drain(self) -> None:
        """Store all that was submitted."""
        await self.batcher.drain()

    def close(self) -> None:
        """Leave. Call it once everything is stored."""
        self.archive.close()

    def _on_retry(self, _: Exception) -> None:
        self.metrics.retries.inc()

    async def _process(self, arrivals: list[Arrival]) -> None:
        try:
            await self._store(arrivals)
        finally:
            await self.clock.stored()

    async def _store(self, arrivals: list[Arrival]) -> None:
        began = perf_counter()
        readings = await self.sessions.read(arrivals)
        self.metrics.count_received(arrivals)
        if self._gathers:
            readings = await _walk(self.gathering.settle, readings, _reject)
            if self.spool is not None:
                self.spool.keep_times(settled_times(readings))
        for step in self._before:
            readings = await _walk(step, readings, _reject)
        merged = await self.storing.store(readings)
        await _walk(self.invalidator.invalidate, readings, _note)
        await self._keep_answers(arrivals)
        batch = stored_batch(arrivals, readings, merged, self._limit)
        await self.events.keep(batch)
        if batch.joined:
            await self._amend(batch)
        await _walk(self.pairing.forget, readings, _note)
        for told in self._listeners:
            try:
                told(batch)
            except Exception:  # a fault of ours: the batch is stored, and may be acknowledged
                log.exception("a batch of %d frames is stored, but could not be told", len(arrivals))
        self.metrics.batch_frames.observe(len(arrivals))
        self.metrics.write_seconds.observe(perf_counter() - began)

    async def _keep_answers(self, arrivals: list[Arrival]) -> None:
        try:
            await self.answers.keep(arrivals)
            return
        except Exception:
            log.exception("the answers in %d frames could not be kept together, trying each alone", len(arrivals))
        for arrival in arrivals:
            try:
                await self.answers.keep([arrival])
            except Exception as error:
                log.exception("the answer in a frame on %a could not be kept", arrival.topic, extra=fields(arrival.id))
                _note(arrival, error)

    async def _amend(self, batch: StoredBatch) -> None:
        try:
            await self.events.amend(batch)
        except Exception:
            log.exception("the events of %d frames that waited could not be amended", len(batch.joined))


def in_groups(files: Iterable[Left], frames: int) -> Iterator[list[Left]]:
    """The files in groups of about so many frames."""
    group: list[Left] = []
    size = 0
    for left in files:
        group.append(left)
        size += len(left.arrivals)
        if size >= frames:
            yield group
            group, size = [], 0
    if group:
        yield group


async def _walk(
    step: Step, readings: list[FrameReading], failed: Callable[[Arrival, Exception], None]
) -> list[FrameReading]:
    """The readings that go on after a step. Where it fails for a reason that nobody foresaw, each frame is tried alone,
    so that only the one at fault is stopped."""
    try:
        return await step(readings)
    except Exception:
        log.exception("a step failed for %d readings, trying each frame alone", len(readings))
    kept: list[FrameReading] = []
    faults = 0
    for arrival, own in _by_frame(readings).items():
        try:
            kept += await step(own)
        except Exception as error:
            faults += 1
            if faults <= MAX_TRACEBACKS:
                log.exception("a frame on %a failed", arrival.topic, extra=fields(arrival.id))
            failed(arrival, error)
    if faults > MAX_TRACEBACKS:
        log.error("%d more frames of the batch failed", faults - MAX_TRACEBACKS)
    return kept


def _by_frame(readings: Iterable[FrameReading]) -> dict[Arrival, list[FrameReading]]:
    frames: dict[Arrival, list[FrameReading]] = {}
    for item in readings:
        frames.setdefault(item.arrival, []).append(item)
    return frames


def _reject(arrival: Arrival, error: Exception) -> None:
    """Before it was stored: the frame is rejected."""
    arrival.rejected = "internal-error"
    _note(arrival, error)


def _note(arrival: Arrival, error: Exception) -> None:
    """After it was stored: it stays stored, and its event says what failed."""
    arrival.detail = f"{type(error).__name__}: {error}"[:200]
