"""The feed: what Redis tells, and what it kept while we were away. Blocking; for a thread or greenlet of its own."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from threading import Event
from typing import Any, Protocol

import orjson
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.bus.keys import STATUS_CHANNEL, latest_key, reading_channel, status_key
from greenpower.bus.message import Message, read_latest
from greenpower.bus.revocation import CHANNEL as REVOKED_CHANNEL

log = logging.getLogger(__name__)

TIMEOUT = 3.0
# A ping is sent so often: a connection that is dead without a word is noticed.
HEALTH_SECONDS = 5
SHORTEST_PAUSE, LONGEST_PAUSE = 0.2, 3.0
SCAN_COUNT = 500


class Listener(Protocol):
    """Who is told. Must not fail."""

    def on_readings(self, type_name: str, readings: list[Message]) -> None: ...
    def on_statuses(self, statuses: list[Message]) -> None: ...
    def on_revoked(self, family: str) -> None: ...
    def on_loaded(self) -> None: ...


def make_client(url: str) -> redis.Redis:
    """A client that gives up soon and tries nothing twice."""
    return redis.Redis.from_url(
        url,
        socket_timeout=TIMEOUT,
        socket_connect_timeout=TIMEOUT,
        health_check_interval=HEALTH_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class Feed:
    """Listens for some data types. After each connecting it tells all that Redis keeps, so nothing is missed."""

    def __init__(self, url: str, types: Iterable[str], listener: Listener) -> None:
        self._client = make_client(url)
        self._types = {reading_channel(name).encode(): name for name in types}
        self._listener = listener
        self.connected = False

    def run(self, stop: Event | None = None, idle: Callable[[], None] = lambda: None) -> None:
        """Listen until `stop`. `idle` is called several times a second."""
        pause = SHORTEST_PAUSE
        stop = stop or Event()
        while not stop.is_set():
            try:
                with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
                    # First listen, then look: what comes between is told twice, and the older changes nothing.
                    pubsub.subscribe(*self._types, STATUS_CHANNEL, REVOKED_CHANNEL)
                    self._load()
                    self._listener.on_loaded()
                    self.connected = True
                    log.info("listening to Redis")
                    pause = SHORTEST_PAUSE
                    while not stop.is_set():
                        message = pubsub.get_message(timeout=0.25)
                        if message is not None:
                            self._tell(message)
                        idle()
            except (redis.RedisError, OSError) as error:
                if self.connected or pause == SHORTEST_PAUSE:
                    log.warning("Redis: %.200s; trying again", error)
                self.connected = False
                idle()
                stop.wait(pause)
                pause = min(pause * 2, LONGEST_PAUSE)

    def _load(self) -> None:
        for name in self._types.values():
            for _, value in self._hash(latest_key(name)):
                if (reading := read_latest(value)) is not None:
                    self._listener.on_readings(name, [reading])
            statuses = [orjson.loads(value) for _, value in self._hash(status_key(name))]
            self._listener.on_statuses(statuses)

    def _hash(self, key: str) -> Iterable[tuple[bytes, bytes]]:
        found: Any = self._client.hscan_iter(key, count=SCAN_COUNT)
        return found  # type: ignore[no-any-return]

    def _tell(self, message: dict[str, Any]) -> None:
        channel, data = message["channel"], message["data"]
        try:
            if channel == REVOKED_CHANNEL.encode():
                self._listener.on_revoked(data.decode())
                return
            found = orjson.loads(data)
            if channel == STATUS_CHANNEL.encode():
                self._listener.on_statuses(found)
            elif name := self._types.get(channel):
                self._listener.on_readings(name, found["readings"])
        except (ValueError, KeyError, TypeError):
            log.exception("a message on %a cannot be read", channel)
