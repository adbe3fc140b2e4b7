"""The ingest process: puts the sources, the pipeline and its own HTTP port together, and stops them in order."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from greenpower.bus.publisher import Publisher
from greenpower.bus.rebuild import Rebuild
from greenpower.catalog.registry import Registry
from greenpower.collector import calm_collector
from greenpower.config import Settings
from greenpower.ingest.http_server import Health, HttpServer
from greenpower.ingest.metrics import Metrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.rollup_lag import LagMetrics
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.gateway.source import Gateways
from greenpower.ingest.sources.lines.source import LinesServer
from greenpower.ingest.sources.mqtt.source import MqttSource
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.devices.listening import Listening
from greenpower.mongo.schema.layout import LISTENING, ensure_indexes

log = logging.getLogger(__name__)

SAVE_SECONDS = 2.0
# Usual lags: nothing waits for them, and of 10 000 devices each save is as many upserts.
SAVE_LAGS_SECONDS = 60.0
DRAIN_SECONDS = 6.0
CANCEL_SECONDS = 0.5
# Thousands of frames wait at any time.
GARBAGE = 100_000, 20, 50


class Runner:
    """One ingest process."""

    def __init__(self, *, settings: Settings, registry: Registry, mqtt: bool, tcp: bool) -> None:
        self.settings = settings
        self.registry = registry
        self.with_mqtt = mqtt
        self.with_tcp = tcp
        self.metrics = Metrics()
        self.lag = LagMetrics(self.metrics.registry, registry)
        self._mongo_failing_since: float | None = None
        self._lags_saved = time.monotonic()

    async def run(self) -> None:
        """Run until SIGTERM or SIGINT. Raises ConfigError for what the operator has to mend."""
        stop = asyncio.Event()
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        calm_collector(*GARBAGE)
        client = async_client(self.settings)
        db = client[self.settings.mongo_db_name]
        self.publisher = self._make_publisher()
        self.listening = Listening(db[LISTENING])
        self.pipeline = Pipeline(
            registry=self.registry, settings=self.settings, db=db, metrics=self.metrics, publisher=self.publisher
        )
        self.mqtt: MqttSource | None = None
        if self.with_mqtt:
            self.mqtt = MqttSource(settings=self.settings, topics=self.registry.topics, pipeline=self.pipeline)
        self.gateways: Gateways | None = None
        self.lines: LinesServer | None = None
        if self.with_tcp:
            admission = Admission(self.settings, self.metrics)
            self.gateways = Gateways(
                settings=self.settings, registry=self.registry, pipeline=self.pipeline, admission=admission
            )
            if self.settings.tcp_lines_token.get_secret_value():
                self.lines = LinesServer(settings=self.settings, pipeline=self.pipeline, admission=admission)
        health = Health(self._parts)
        server = HttpServer(
            self.settings.ingest_http_host, self.settings.ingest_http_port, health, self.metrics.registry
        )
        tasks = [asyncio.create_task(self._beat(health)), asyncio.create_task(self._keep())]
        try:
            await self._until(stop, self._prepare())
            if self.publisher is not None and not stop.is_set():
                types = {datatype.name: datatype.collection for datatype in self.registry}
                rebuild = Rebuild(db, types, self.publisher.latest, self.publisher.redis)
                tasks += [
                    asyncio.create_task(self.publisher.run()),
                    asyncio.create_task(rebuild.run(self.publisher.lost)),
                ]
            if self.mqtt is not None and not stop.is_set():
                tasks.append(asyncio.create_task(self.mqtt.run()))
            for listener in (self.gateways, self.lines):
                if listener is not None and not stop.is_set():
                    await listener.start()
                    log.info("listening on %s:%d", listener.host, listener.port)
            await self._until(stop, *tasks)
            await self._stop()
        finally:
            await _end(tasks)
            server.close()
            if self.publisher is not None:
                await self.publisher.close()
            await client.close()

    async def _until(self, stop: asyncio.Event, *work: Any) -> None:
        """Wait for the first of the work to end (or fail), or for the signal."""
        waiting = asyncio.ensure_future(stop.wait())
        tasks = {asyncio.ensure_future(item) for item in work}
        done, _ = await asyncio.wait({waiting, *tasks}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        for task in done - {waiting}:
            task.result()

    async def _prepare(self) -> None:
        """Make the indexes before the first write: without them a duplicate would be stored twice."""
        pause = 0.2
        while True:
            try:
                changes = await asyncio.to_thread(self._ensure_indexes)
                break
            except PyMongoError as error:
                log.warning("MongoDB cannot be reached, trying again: %.200s", error)
                self._mongo_failing_since = self._mongo_failing_since or time.monotonic()
                await asyncio.sleep(pause)
                pause = min(pause * 2, 5.0)
        self._mongo_failing_since = None
        for change in changes:
            log.info("%s", change)
        await self.pipeline.clock.load()

    def _ensure_indexes(self) -> list[str]:
        with sync_client(self.settings) as client:
            return ensure_indexes(client[self.settings.mongo_db_name], self.registry, self.settings)

    async def _beat(self, health: Health) -> None:
        while True:
            health.beat = time.monotonic()
            batcher = self.pipeline.batcher
            self.metrics.pending.set(batcher.pending)
            self.metrics.pending_bytes.set(batcher.pending_bytes)
            await asyncio.sleep(0.5)

    async def _keep(self) -> None:
        """Write down now and then what is known of clocks and devices, and notice when MongoDB is away."""
        while True:
            await asyncio.sleep(SAVE_SECONDS)
            try:
                await self.pipeline.db.command("ping")
                await self._save()
                self._mongo_failing_since = None
            except PyMongoError:
                self._mongo_failing_since = self._mongo_failing_since or time.monotonic()

    async def _save(self, *, last: bool = False) -> None:
        online = await self.pipeline.presence.save()
        if self.publisher is not None:
            self.publisher.announce(online)
        await self.listening.beat(self._listening(), datetime.now(UTC))
        await self.lag.refresh(self.pipeline.db)
        await self.pipeline.clock.refresh()
        if last or time.monotonic() - self._lags_saved >= SAVE_LAGS_SECONDS:
            self._lags_saved = time.monotonic()
            await self.pipeline.clock.save()

    def _listening(self) -> tuple[str, ...]:
        """The sources that are listened to. None while frames of an outage are still coming in: who is heard last of
        them was not silent for longer."""
        if self.pipeline.batcher.pending > self.settings.mqtt_receive_maximum // 2:
            return ()
        sources = {
            "mqtt": self.mqtt is not None and self.mqtt.connected,
            "tcp": self.gateways is not None,
            "lines": self.lines is not None,
        }
        return tuple(name for name, there in sources.items() if there)

    def _make_publisher(self) -> Publisher | None:
        """Who tells Redis; None where no Redis is configured."""
        if url := self.settings.redis_address:
            return Publisher(url, self.metrics.registry)
        return None

    def _parts(self) -> dict[str, dict[str, Any]]:
        batcher = self.pipeline.batcher
        failing = self._mongo_failing_since
        parts: dict[str, dict[str, Any]] = {
            "mongo": {"ok": failing is None},
            "pipeline": {"ok": True, "pending": batcher.pending, "pending_bytes": batcher.pending_bytes},
        }
        if failing is not None:
            parts["mongo"]["failing_seconds"] = round(time.monotonic() - failing)
        if self.gateways is not None:
            parts["tcp"] = {"ok": True, "gateways": len(self.gateways.by_device)}
        if self.mqtt is not None:
            parts["mqtt"] = {"ok": self.mqtt.connected}
            if self.mqtt.problem:
                parts["mqtt"]["problem"] = self.mqtt.problem
            if self.mqtt.warnings:
                parts["mqtt"]["warnings"] = list(self.mqtt.warnings)
        return parts

    async def _stop(self) -> None:
        """Take nothing more, store what is held, acknowledge it, leave."""
        log.info("stopping, %d frames held", self.pipeline.batcher.pending)
        if self.mqtt is not None:
            await self.mqtt.stop()
        for listener in (self.gateways, self.lines):
            if listener is not None:
                listener.stop()
        try:
            await asyncio.wait_for(self.pipeline.drain(), DRAIN_SECONDS)
            await asyncio.sleep(0)  # let the handlers acknowledge what was stored last
        except TimeoutError:
            log.warning("%d frames could not be stored in time; the broker keeps them", self.pipeline.batcher.pending)
        if self.mqtt is not None:
            await self.mqtt.disconnect()
        with suppress(PyMongoError, TimeoutError):
            await asyncio.wait_for(self._save(last=True), 1.0)
        log.info("stopped")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    """Cancel tasks until they have ended: a client library may swallow being cancelled once."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_SECONDS)
    await asyncio.gather(*tasks, return_exceptions=True)
