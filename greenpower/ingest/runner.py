"""The ingest process: what is started after what, and how it is stopped in order.

What belongs here: wiring and order. What does not: which transports there are (`transports`), what happens to a frame.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Collection, Sequence
from contextlib import AsyncExitStack, suppress
from functools import partial

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from greenpower.bus.publisher import Publisher
from greenpower.bus.rebuild import Rebuild
from greenpower.catalog.facts import gather_seconds
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.ingest.housekeeping import Housekeeping
from greenpower.ingest.http_server import Health, HttpServer, Parts
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.rollup_lag import LagMetrics
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.source import Source, SourceKit
from greenpower.ingest.spool import Spool
from greenpower.ingest.transports import TRANSPORTS
from greenpower.loops import Loops, TaskLoop
from greenpower.mongo.client import Document, async_client, sync_client
from greenpower.mongo.devices.listening import Listening
from greenpower.mongo.failure import until_written
from greenpower.mongo.schema.layout import LISTENING, ensure_indexes
from greenpower.mongo.schema.version import check_version

log = logging.getLogger(__name__)

FIRST_MONGO_RETRY_SECONDS = 0.2
MAX_MONGO_RETRY_SECONDS = 5.0
DRAIN_SECONDS = 6.0
LAST_SAVE_SECONDS = 1.0
STOP_LOOPS_SECONDS = 10.0
CLOSE_CLIENT_SECONDS = 0.5
PUBLISHER_STALLED_SECONDS = 60.0
# The newest reading of 100 000 devices is read in one round.
REBUILD_STALLED_SECONDS = 900.0
# Python looks for cycles after so many new objects. Thousands of frames wait at any time, and none is in a cycle: by
# default they would be searched again and again (docs/decisions/0016).
COLLECTOR_THRESHOLDS = 100_000, 20, 50


class Runner:
    """One ingest process. transports: the options of those whose sources it has."""

    def __init__(self, *, settings: Settings, registry: Registry, transports: Collection[str]) -> None:
        self.settings = settings
        self.registry = registry
        self.metrics = IngestMetrics()
        self.loops = Loops(self.metrics.registry)
        self._make = [kind.make for item in TRANSPORTS if item.option in transports for kind in item.sources]

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises ConfigError for what the operator has to put right."""
        stop = _stop_signal()
        gc.set_threshold(*COLLECTOR_THRESHOLDS)
        async with AsyncExitStack() as stack:
            client = async_client(self.settings)
            stack.push_async_callback(_close, client)
            self._wire(client)
            stack.callback(self.pipeline.close)
            self.spool.open()
            stack.callback(self.spool.close)
            try:
                self.server.start()
                self.housekeeping.start(self.loops)
                await _until(stop, self._prepare())
                if not stop.is_set():
                    self._start_publishing()
                    await self._start_sources()
                await stop.wait()
                await self._stop()
            finally:
                await self.loops.stop_async(STOP_LOOPS_SECONDS)
                self.server.close()
                if self.publisher is not None:
                    await self.publisher.close()

    def _wire(self, client: AsyncMongoClient[Document]) -> None:
        """Make everything, and start nothing."""
        settings, metrics = self.settings, self.metrics
        self.db = client[settings.mongo_db_name]
        url = settings.redis_address
        self.publisher = Publisher(url, metrics.registry, gather_seconds(self.registry)) if url else None
        self.spool = Spool(settings.greenpower_home)
        self.pipeline = Pipeline(
            registry=self.registry,
            settings=settings,
            db=self.db,
            metrics=metrics,
            publisher=self.publisher,
            spool=self.spool,
        )
        kit = SourceKit(admission=Admission(settings, metrics.registry), loops=self.loops, metrics=metrics.registry)
        made = [make(settings, self.registry, self.pipeline, kit) for make in self._make]
        self.sources: Sequence[Source] = [source for source in made if source is not None]
        self.housekeeping = Housekeeping(
            pipeline=self.pipeline,
            listening=Listening(self.db[LISTENING]),
            lag=LagMetrics(metrics.registry, self.registry),
            metrics=metrics,
            max_pending=settings.mqtt_receive_maximum // 2,
        )
        self.server = HttpServer(
            host=settings.ingest_http_host,
            port=settings.ingest_http_port,
            health=Health(self._parts, self.housekeeping.heartbeat),
            metrics=metrics.registry,
        )
        self.loops.add(self.server.loop)

    async def _prepare(self) -> None:
        """Make the indexes before the first write: without them a duplicate would be stored twice."""
        pause = FIRST_MONGO_RETRY_SECONDS
        while True:
            try:
                changes = await asyncio.to_thread(self._ensure_indexes)
                break
            except PyMongoError as error:
                log.warning("MongoDB cannot be reached, trying again: %.200s", error)
                self.housekeeping.mongo.failed()
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_MONGO_RETRY_SECONDS)
        self.housekeeping.mongo.answered()
        for change in changes:
            log.info("%s", change)
        await self.pipeline.clock.load()
        await until_written(lambda: self.pipeline.presence.recover(self.db))
        self.pipeline.policy.say()
        if found := await self.pipeline.recover():
            log.info("%d frames that a process held when it ended are stored", found)

    def _ensure_indexes(self) -> list[str]:
        with sync_client(self.settings) as client:
            db = client[self.settings.mongo_db_name]
            check_version(db)
            return ensure_indexes(db, self.registry, self.settings)

    def _start_publishing(self) -> None:
        publisher = self.publisher
        if publisher is None:
            return
        types = {datatype.name: datatype.collection for datatype in self.registry}
        gathered = gather_seconds(self.registry)
        rebuild = partial(
            Rebuild(self.db, types, publisher.latest, publisher.redis, gathered).run,
            publisher.lost,
        )
        self.loops.add(TaskLoop("publisher", publisher.run, stalled_after=PUBLISHER_STALLED_SECONDS)).start()
        self.loops.add(TaskLoop("rebuild", rebuild, stalled_after=REBUILD_STALLED_SECONDS)).start()

    async def _start_sources(self) -> None:
        for source in self.sources:
            await source.start()
            if address := source.listening_to:
                log.info("%s: listening on %s", source.name, address)
        self.housekeeping.sources = self.sources

    def _parts(self) -> Parts:
        loops = self.loops.health()
        failing = {name: health for name, health in loops.items() if not health["ok"]}
        plugins = {"plugins": {"ok": True, "warnings": list(self.registry.warnings)}} if self.registry.stopped else {}
        return {
            **plugins,
            "mongo": self.housekeeping.mongo.health(),
            "pipeline": self.housekeeping.pipeline_health(),
            "loops": {"ok": not failing, "failing": failing},
            **{source.name: source.health() for source in self.sources},
        }

    async def _stop(self) -> None:
        """Take nothing more, store what is held, acknowledge it, leave."""
        log.info("stopping, %d frames held", self.pipeline.batcher.pending)
        for source in self.sources:
            await source.stop()
        try:
            await asyncio.wait_for(self.pipeline.drain(), DRAIN_SECONDS)
            await asyncio.sleep(0)  # let the handlers acknowledge what was stored last
        except TimeoutError:
            log.warning("%d frames could not be stored in time", self.pipeline.batcher.pending)
        for source in self.sources:
            await source.close()
        await self.pipeline.batcher.abandon()
        with suppress(PyMongoError, TimeoutError):
            await asyncio.wait_for(self.housekeeping.save(last=True), LAST_SAVE_SECONDS)
        log.info("stopped")


async def _close(client: AsyncMongoClient[Document]) -> None:
    """Close a client, but do not wait for a server that hangs: the client would tell it which sessions have ended."""
    with suppress(TimeoutError):
        await asyncio.wait_for(client.close(), CLOSE_CLIENT_SECONDS)


def _stop_signal() -> asyncio.Event:
    """Set by SIGTERM and SIGINT."""
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    return stop


async def _until(stop: asyncio.Event, work: Awaitable[None]) -> None:
    """Wait until some work has ended, or for the signal; the work is cancelled then. Raises what the work raises."""
    task = asyncio.ensure_future(work)
    waiting = asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({waiting, task}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            task.result()
    finally:
        waiting.cancel()
        task.cancel()
        await asyncio.gather(waiting, task, return_exceptions=True)
