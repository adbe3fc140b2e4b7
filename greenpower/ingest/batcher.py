"""Batching: frames gather until there are many or the first has waited long enough; several batches at once.

What belongs here: when a batch closes, how many are in flight, how much is held. What does not: what is done with it.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable

from greenpower.ingest.arrival import Arrival
from greenpower.ingest.spool import Spool, SpoolFile

log = logging.getLogger(__name__)

MAX_BATCH_FRAMES = 1_000
MAX_BATCH_BYTES = 8 * 1024 * 1024
MAX_WAIT_SECONDS = 0.05
MAX_BATCHES_IN_FLIGHT = 3
CANCEL_AGAIN_SECONDS = 0.5
# About so many bytes of frames are held at most: sources that can hold their senders back do so beyond it.
MAX_BYTES_HELD = 128 * 1024 * 1024


class Batch:
    """Frames that are stored together. `done` ends when all of them are, and so may be acknowledged."""

    __slots__ = ("arrivals", "done", "file", "size")

    def __init__(self, loop: asyncio.AbstractEventLoop, file: SpoolFile | None) -> None:
        self.file = file
        self.arrivals: list[Arrival] = []
        self.size = 0
        self.done: asyncio.Future[None] = loop.create_future()


class Batcher:
    """Gathers frames and hands batches to `process`, oldest first, at most `MAX_BATCHES_IN_FLIGHT` at once.

    `process` must not end before its frames are stored; it never gives up.
    """

    def __init__(self, process: Callable[[list[Arrival]], Awaitable[None]], spool: Spool | None = None) -> None:
        self._process = process
        self._spool = spool
        self._loop = asyncio.get_running_loop()
        self._slots = asyncio.Semaphore(MAX_BATCHES_IN_FLIGHT)
        self._tasks: set[asyncio.Task[None]] = set()
        self._in_flight: dict[Batch, float] = {}
        self._open: Batch | None = None
        self._timer: asyncio.TimerHandle | None = None
        self.pending = 0
        self.pending_bytes = 0
        self.failed = 0  # frames that could not be processed; their senders have them still

    def add(self, arrival: Arrival) -> asyncio.Future[None]:
        """Take a frame; the answer ends when it is stored."""
        batch = self._open
        if batch is None:
            batch = self._open = Batch(self._loop, None if self._spool is None else self._spool.file())
            self._timer = self._loop.call_later(MAX_WAIT_SECONDS, self._close)
        size = len(arrival.payload)
        batch.arrivals.append(arrival)
        batch.size += size
        self.pending += 1
        self.pending_bytes += size
        if batch.file is not None and arrival.spooled is None:
            batch.file.add(arrival)
        if len(batch.arrivals) >= MAX_BATCH_FRAMES or batch.size >= MAX_BATCH_BYTES:
            self._close()
        return batch.done

    def _close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._open = self._open, None
        if batch is not None:
            if batch.file is not None:
                batch.file.close()
            task = self._loop.create_task(self._run(batch))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _run(self, batch: Batch) -> None:
        async with self._slots:
            self._in_flight[batch] = time.monotonic()
            try:
                await self._process(batch.arrivals)
            except asyncio.CancelledError:
                batch.done.cancel()
                raise
            except BaseException as error:
                # A fault of ours. Nothing of the batch is acknowledged: the broker sends it again to the next process.
                log.exception("a batch of %d frames could not be processed", len(batch.arrivals))
                self.failed += len(batch.arrivals)
                batch.done.set_exception(error)
                batch.done.exception()  # read here, in case nothing waits for it
            else:
                if batch.file is not None:
                    batch.file.remove()
                batch.done.set_result(None)
            finally:
                del self._in_flight[batch]
                self.pending -= len(batch.arrivals)
                self.pending_bytes -= batch.size

    @property
    def oldest_seconds(self) -> float:
        """How long the oldest batch in flight has been in work; 0 without one. Also called by the HTTP thread."""
        began = list(self._in_flight.values())
        return time.monotonic() - min(began) if began else 0.0

    @property
    def is_full(self) -> bool:
        """Whether so much is held that sources should hold their senders back."""
        return self.pending_bytes > MAX_BYTES_HELD

    async def abandon(self) -> None:
        """Give up what is not stored yet, before the database's client is closed. Nothing of it is acknowledged.

        A task is cancelled until it has ended: the driver may swallow one cancellation.
        """
        while self._tasks:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks, timeout=CANCEL_AGAIN_SECONDS)

    async def drain(self) -> None:
        """Store what is held. Frames added meanwhile are stored too."""
        while self._open is not None or self._tasks:
            self._close()
            if self._tasks:
                await asyncio.wait(self._tasks)
