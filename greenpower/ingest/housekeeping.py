"""What an ingest process does beside its frames: writes down now and then what it knows, and notices what fails.

What belongs here: the loops for that, and whether MongoDB answers. What does not: the loops of sources.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from pymongo.errors import PyMongoError

from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.rollup_lag import LagMetrics
from greenpower.ingest.sources.source import Source
from greenpower.loops import Loops, TaskLoop
from greenpower.mongo.devices.listening import Listening

HEARTBEAT_SECONDS = 0.5
# An event loop that is silent for longer hangs.
HANG_SECONDS = 10.0
SAVE_SECONDS = 2.0
# Usual lags: nothing waits for them, and of 10 000 devices each save is as many upserts.
SAVE_LAGS_SECONDS = 60.0
ROLLUP_LAG_SECONDS = 15.0
PING_SECONDS = 5.0
# Longer than the driver waits for an answer.
STALLED_SECONDS = 120.0
# A batch that is in work for longer while MongoDB answers hangs: several times what one write may take at most.
STUCK_SECONDS = 300.0


class MongoState:
    """Whether MongoDB answers, as far as this process knows."""

    def __init__(self) -> None:
        self._failing_since: float | None = None
        self._answering_since: float | None = None

    def failed(self) -> None:
        """It did not answer."""
        self._failing_since = self._failing_since or time.monotonic()
        self._answering_since = None

    def answered(self) -> None:
        """It answered."""
        self._failing_since = None
        self._answering_since = self._answering_since or time.monotonic()

    @property
    def answering_seconds(self) -> float:
        """For how long it has answered without a failure; 0 where it does not."""
        since = self._answering_since
        return 0.0 if since is None else time.monotonic() - since

    def health(self) -> dict[str, Any]:
        """`{"ok", "failing_seconds"?}`."""
        since = self._failing_since
        return {"ok": True} if since is None else {"ok": False, "failing_seconds": round(time.monotonic() - since)}


class Housekeeping:
    """The loops of one ingest process that are of no source. max_pending: with more frames held, it is catching up."""

    def __init__(
        self, *, pipeline: Pipeline, listening: Listening, lag: LagMetrics, metrics: IngestMetrics, max_pending: int
    ) -> None:
        self.mongo = MongoState()
        self.sources: Sequence[Source] = ()
        self.heartbeat = TaskLoop("heartbeat", self._beat, stalled_after=HANG_SECONDS)
        self._pipeline = pipeline
        self._listening = listening
        self._lag = lag
        self._metrics = metrics
        self._max_pending = max_pending
        self._lags_saved = time.monotonic()

    def start(self, loops: Loops) -> None:
        """Start the loops."""
        loops.add(self.heartbeat).start()
        loops.add(TaskLoop("save", self._save_often, stalled_after=STALLED_SECONDS)).start()
        loops.add(TaskLoop("rollup-lag", self._refresh_lag, stalled_after=STALLED_SECONDS)).start()

    async def save(self, *, last: bool = False) -> None:
        """Write down what is known of devices, clocks and listening. Raises PyMongoError."""
        online = await self._pipeline.presence.save()
        if self._pipeline.publisher is not None:
            self._pipeline.publisher.announce(online)
        await self._listening.beat(self._listened_to(), datetime.now(UTC))
        await self._pipeline.clock.refresh()
        self._pipeline.policy.refresh()
        if last or time.monotonic() - self._lags_saved >= SAVE_LAGS_SECONDS:
            self._lags_saved = time.monotonic()
            await self._pipeline.clock.save()

    def pipeline_health(self) -> dict[str, Any]:
        """`{"ok", "pending", "pending_bytes", "oldest_seconds", "waiting"?, "failed"?}`. The HTTP thread calls it too.

        Not ok: a batch has been in work for too long although MongoDB answers, or frames have failed: the broker keeps
        them until it is connected to anew. waiting: MongoDB does not answer.
        """
        batcher = self._pipeline.batcher
        oldest = batcher.oldest_seconds
        part = {
            "ok": not batcher.failed and min(oldest, self.mongo.answering_seconds) <= STUCK_SECONDS,
            "pending": batcher.pending,
            "pending_bytes": batcher.pending_bytes,
            "oldest_seconds": round(oldest, 1),
        }
        if batcher.pending and not self.mongo.health()["ok"]:
            part["waiting"] = True
        if batcher.failed:
            part["failed"] = batcher.failed
        return part

    def _listened_to(self) -> tuple[str, ...]:
        """The sources that are listened to. None while frames of an outage are still coming in: a device whose frames
        come last was not silent for longer than the others."""
        if self._pipeline.batcher.pending > self._max_pending:
            return ()
        return tuple(source.name for source in self.sources if source.listening_to)

    async def _beat(self, loop: TaskLoop) -> None:
        batcher = self._pipeline.batcher
        while True:
            loop.advance()
            self._metrics.pending.set(batcher.pending)
            self._metrics.pending_bytes.set(batcher.pending_bytes)
            self._metrics.oldest_batch.set(batcher.oldest_seconds)
            await asyncio.sleep(HEARTBEAT_SECONDS)

    async def _save_often(self, loop: TaskLoop) -> None:
        while True:
            loop.advance()
            await asyncio.sleep(SAVE_SECONDS)
            try:
                async with asyncio.timeout(PING_SECONDS):
                    await self._pipeline.db.command("ping")
                await self.save()
                self.mongo.answered()
            except (PyMongoError, TimeoutError):
                self.mongo.failed()

    async def _refresh_lag(self, loop: TaskLoop) -> None:
        while True:
            loop.advance()
            try:
                await self._lag.refresh(self._pipeline.db)
            except PyMongoError:
                self.mongo.failed()
            await asyncio.sleep(ROLLUP_LAG_SECONDS)
