"""The publisher: takes what was stored and tells Redis, in its own time. Nothing waits for it.

What waits to be told is the newest reading and status of each device, so a Redis that is slow or away costs memory for
that and a counter, and hears what it missed when it is back.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime

import orjson
from prometheus_client import CollectorRegistry, Counter, Gauge
from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError, ResponseError

from greenpower.bus.foreign_key import ForeignKeys, is_wrong_type
from greenpower.bus.gathered import GatheredMessages
from greenpower.bus.keys import STATUS_CHANNEL, WHOLE, status_key
from greenpower.bus.latest import MAX_DEVICES_PER_TYPE, Latest
from greenpower.bus.message import Message, newer, reading_message, status_message
from greenpower.loops import TaskLoop
from greenpower.mongo.client import Document
from greenpower.mongo.readings.batch import StoredBatch

log = logging.getLogger(__name__)

READINGS_PER_MESSAGE = 1_000
REDIS_TIMEOUT_SECONDS = 2.0
MIN_RETRY_SECONDS, MAX_RETRY_SECONDS = 0.2, 5.0
# Without news, look so often whether Redis has lost what it kept.
CHECK_SECONDS = 10.0
END_OF_TIME = datetime.max.replace(tzinfo=UTC)


class Publisher:
    """Tells Redis of readings and statuses. One per ingest process, on its event loop; `run` is its work."""

    def __init__(self, url: str, registry: CollectorRegistry, gather: Mapping[str, float] | None = None) -> None:
        """gather: of types whose values come one by one, the length of their slots in seconds."""
        self.redis = Redis.from_url(
            url,
            socket_timeout=REDIS_TIMEOUT_SECONDS,
            socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._readings: dict[str, dict[str, Message]] = {}
        self._statuses: dict[str, dict[str, Message]] = {}
        self._refused: dict[str, float] = {}
        self._gathered = GatheredMessages(gather or {})
        self._count = 0
        self._news = asyncio.Event()
        self.lost = asyncio.Event()
        self.published = Counter("greenpower_live_published", "readings told to Redis", registry=registry)
        self.failures = Counter(
            "greenpower_live_failures", "times that Redis did not take what it was told", registry=registry
        )
        deleted = Counter(
            "greenpower_live_keys_deleted", "keys that held another Redis type and are written again", registry=registry
        )
        self._foreign = ForeignKeys(self.redis, deleted)
        self.latest = Latest(self.redis, self._foreign)
        self.dropped = Counter("greenpower_live_dropped", "readings not told: too many devices wait", registry=registry)
        self.waiting = Gauge(
            "greenpower_live_waiting", "devices whose newest reading is not told yet", registry=registry
        )

    def take(self, batch: StoredBatch) -> None:
        """A batch was stored: what it added to readings is told. Returns at once."""
        if self._gathered.gather and self._gathered.take(batch):
            self._news.set()
        for type_name, readings in batch.readings.items():
            if type_name in self._gathered.gather:
                continue
            for reading in readings:
                if reading.added:
                    first = reading.fragments[0]
                    self._keep(
                        reading_message(type_name, first.device_id, first.timestamp, first.received_at, reading.added)
                    )
                    self._news.set()

    def announce(self, documents: Iterable[Document]) -> None:
        """Devices seen have changed their status. Returns at once."""
        for document in documents:
            self._statuses.setdefault(document["type"], {})[document["device_id"]] = status_message(document)
            self._news.set()

    async def run(self, loop: TaskLoop) -> None:
        """Tell, until cancelled. `lost` is set whenever Redis turns out to have lost what it kept."""
        pause = MIN_RETRY_SECONDS
        while True:
            loop.advance()
            try:
                await self._tell()
                pause = MIN_RETRY_SECONDS
                await self._wait()
            except (RedisError, OSError) as error:
                if pause == MIN_RETRY_SECONDS:
                    log.warning("Redis: %.200s; live values wait", error)
                self.failures.inc()
                await asyncio.sleep(pause)
                pause = min(pause * 2, MAX_RETRY_SECONDS)

    async def close(self) -> None:
        """Tell what waits, if Redis takes it now, and let go of the connection."""
        self._keep_ended(END_OF_TIME)
        try:
            await self._tell()
        except (RedisError, OSError):
            self.failures.inc()
        await self.redis.aclose()

    async def _wait(self) -> None:
        pause = CHECK_SECONDS
        if (end := self._gathered.next_end()) is not None:
            pause = min(pause, max(0.0, (end - datetime.now(UTC)).total_seconds()))
        try:
            async with asyncio.timeout(pause):
                await self._news.wait()
        except TimeoutError:
            if pause == CHECK_SECONDS and not await self.redis.exists(WHOLE):
                self.lost.set()
        self._keep_ended(datetime.now(UTC))

    def _keep_ended(self, now: datetime) -> None:
        """Let the values of slots that have ended wait to be told."""
        for message in self._gathered.ended(now):
            self._keep(message)

    async def _tell(self) -> None:
        """Tell all that waits. A type that Redis refuses waits for some seconds, and holds up no other type."""
        self._news.clear()
        now = time.monotonic()
        for type_name in {**self._readings, **self._statuses}:
            if self._refused.get(type_name, now) > now:
                continue
            try:
                while waiting := self._readings.get(type_name):
                    await self._tell_readings(type_name, waiting)
                self._readings.pop(type_name, None)
                await self._tell_statuses(type_name)
            except ResponseError as error:
                if type_name not in self._refused:
                    log.warning("Redis refuses what it is told of %s: %.200s; it waits", type_name, error)
                self._refused[type_name] = time.monotonic() + MAX_RETRY_SECONDS
                self.failures.inc()
            else:
                self._refused.pop(type_name, None)

    async def _tell_readings(self, type_name: str, waiting: dict[str, Message]) -> None:
        taken = [waiting.pop(device) for device in list(waiting)[:READINGS_PER_MESSAGE]]
        self._count -= len(taken)
        try:
            put = self.latest.put_merged if type_name in self._gathered.gather else self.latest.put
            if not await put(type_name, taken):
                self.lost.set()
        except BaseException:  # being cancelled included: `close` tells it then
            for reading in taken:
                self._keep(reading)
            raise
        self.published.inc(len(taken))
        self.waiting.set(self._count)

    async def _tell_statuses(self, type_name: str) -> None:
        statuses = self._statuses.pop(type_name, {})
        if not statuses:
            return
        try:
            await put_statuses(self.redis, list(statuses.values()), foreign=self._foreign)
        except BaseException:
            self._statuses[type_name] = {**statuses, **self._statuses.get(type_name, {})}
            raise

    def _keep(self, reading: Message) -> None:
        """Let a reading wait, unless a newer one of its device does."""
        waiting = self._readings.setdefault(reading["type"], {})
        old = waiting.get(reading["device_id"])
        if old is None:
            if self._count >= MAX_DEVICES_PER_TYPE:
                self.dropped.inc()
                return
            self._count += 1
        if (kept := newer(old, reading)) is not None:
            waiting[reading["device_id"]] = kept


async def put_statuses(
    redis: Redis, statuses: list[Message], *, tell: bool = True, foreign: ForeignKeys | None = None
) -> None:
    """Keep statuses, and tell them in one message. Raises RedisError.

    A key of another Redis type is deleted; the statuses of other devices that it should have held come with the next
    run of the presence job.
    """
    foreign = foreign or ForeignKeys(redis)
    texts = [(status_key(status["type"]), status["device_id"], orjson.dumps(status)) for status in statuses]
    pipe = redis.pipeline(transaction=False)
    for entry in texts:
        pipe.hset(*entry)
    if tell and statuses:
        pipe.publish(STATUS_CHANNEL, orjson.dumps(statuses))
    answers = await pipe.execute(raise_on_error=False)
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    for error in errors:
        if not is_wrong_type(error):
            raise error
    if not errors:
        return
    failed = [entry for entry, answer in zip(texts, answers, strict=False) if isinstance(answer, Exception)]
    for key in {key for key, _, _ in failed}:
        await foreign.delete(key)
    again = redis.pipeline(transaction=False)
    for entry in failed:
        again.hset(*entry)
    await again.execute()
