"""The feed: reads all values that Redis holds, then its messages. Blocking; it runs in a loop of its own.

A bad value, or a listener that fails on one, costs that value: it is counted, logged once per kind and skipped. Only a
lost connection ends `run`; the loop starts it again.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable
from typing import Any, Protocol

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.bus.keys import ALARM_CHANNEL, STATUS_CHANNEL, latest_key, reading_channel, status_key
from greenpower.bus.message import Message
from greenpower.bus.revocation import REVOCATION_CHANNEL
from greenpower.bus.visibility import VISIBLE_CHANNEL
from greenpower.loops import Backoff, ThreadLoop
from greenpower.realtime.value import (
    BadValue,
    check_alarm,
    check_list,
    check_reading,
    check_status,
    parse,
    stored_reading,
    stored_status,
)

log = logging.getLogger(__name__)

REDIS_TIMEOUT_SECONDS = 3.0
# Seconds without a message after which a ping is sent: a Redis that hangs, or a dead connection, is noticed.
REDIS_PING_SECONDS = 5
POLL_SECONDS = 0.25
SCAN_COUNT = 500
STALLED_SECONDS = 10.0
BACKOFF = Backoff(first=0.2, longest=3.0)
MAX_KINDS_LOGGED = 100


class FeedListener(Protocol):
    """Gets the values. `on_loaded`: after each connect, when all values that Redis holds were passed on."""

    def on_readings(self, type_name: str, readings: list[Message]) -> None: ...
    def on_statuses(self, statuses: list[Message]) -> None: ...
    def on_alarms(self, events: list[Message]) -> None: ...
    def on_revoked(self, family: str) -> None: ...
    def on_visible(self, subject: str) -> None: ...
    def on_loaded(self) -> None: ...


def make_client(url: str) -> redis.Redis:
    """A client that gives up soon and tries nothing twice."""
    return redis.Redis.from_url(
        url,
        socket_timeout=REDIS_TIMEOUT_SECONDS,
        socket_connect_timeout=REDIS_TIMEOUT_SECONDS,
        health_check_interval=REDIS_PING_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


class Feed:
    """Listens for some data types. After each connect it passes on all that Redis holds, so nothing is missed.

    skipped: called with the source of each value that is left out: `latest`, `status`, `reading-channel`,
    `status-channel`, `alarm-channel`, `revocation-channel` for bad values, `listener` where the listener failed.
    """

    def __init__(
        self,
        url: str,
        types: Iterable[str],
        listener: FeedListener,
        skipped: Callable[[str], object] = lambda source: None,
    ) -> None:
        self._client = make_client(url)
        self._types = {reading_channel(name).encode(): name for name in types}
        self._listener = listener
        self._skipped = skipped
        self._logged: set[tuple[str, str]] = set()

    def make_loop(self, work: Callable[[ThreadLoop], None] | None = None) -> ThreadLoop:
        """The loop that runs it; healthy when all that Redis holds was passed on. work: called instead of `run`."""
        return ThreadLoop(
            "feed",
            work or self.run,
            stalled_after=STALLED_SECONDS,
            expected=(redis.RedisError, OSError),
            backoff=BACKOFF,
        )

    def run(self, loop: ThreadLoop, idle: Callable[[], None] = lambda: None) -> None:
        """Listen until the loop is stopped. `idle` is called several times a second. Raises RedisError, OSError."""
        with self._client.pubsub(ignore_subscribe_messages=True) as pubsub:  # type: ignore[no-untyped-call]
            # First subscribe, then read: a value in between comes twice, and the older one changes nothing.
            pubsub.subscribe(*self._types, STATUS_CHANNEL, ALARM_CHANNEL, REVOCATION_CHANNEL, VISIBLE_CHANNEL)
            for name in self._types.values():
                self._load(name)
            self._tell(self._listener.on_loaded)
            log.info("listening to Redis")
            answered = time.monotonic()
            while not loop.stopping:
                loop.advance()
                message = pubsub.get_message(timeout=POLL_SECONDS)
                # The client sends pings while nothing comes, but does not mind if none is answered.
                if message is not None or not pubsub.health_check_response_counter:
                    answered = time.monotonic()
                elif time.monotonic() - answered > REDIS_TIMEOUT_SECONDS:
                    raise redis.TimeoutError("Redis does not answer pings")
                if message is not None:
                    self._read(message)
                idle()
                time.sleep(0)  # other greenlets come first, however many messages wait

    def _load(self, name: str) -> None:
        for device, value in self._hash("latest", latest_key(name)):
            try:
                reading = stored_reading(name, device, value)
            except BadValue as error:
                self._skip("latest", f"{latest_key(name)}: {error}")
            else:
                self._tell(self._listener.on_readings, name, [reading])
        for device, value in self._hash("status", status_key(name)):
            try:
                status = stored_status(name, device, value)
            except BadValue as error:
                self._skip("status", f"{status_key(name)}: {error}")
            else:
                self._tell(self._listener.on_statuses, [status])

    def _hash(self, source: str, key: str) -> Iterable[tuple[bytes, bytes]]:
        try:
            yield from self._client.hscan_iter(key, count=SCAN_COUNT)
        except redis.ResponseError as error:
            if not str(error).startswith("WRONGTYPE"):
                raise
            self._skip(source, f"{key}: not a hash")

    def _read(self, message: dict[str, Any]) -> None:
        channel, data = message["channel"], message["data"]
        if channel == REVOCATION_CHANNEL.encode():
            self._tell(self._listener.on_revoked, data.decode("utf-8", "replace"))
        elif channel == VISIBLE_CHANNEL.encode():
            self._tell(self._listener.on_visible, data.decode("utf-8", "replace"))
        elif channel == STATUS_CHANNEL.encode():
            statuses = self._checked("status-channel", data, lambda found: found, check_status)
            if statuses:
                self._tell(self._listener.on_statuses, statuses)
        elif channel == ALARM_CHANNEL.encode():
            events = self._checked("alarm-channel", data, lambda found: found, check_alarm)
            if events:
                self._tell(self._listener.on_alarms, events)
        elif name := self._types.get(channel):
            readings = self._checked("reading-channel", data, _readings_of, lambda found: check_reading(name, found))
            if readings:
                self._tell(self._listener.on_readings, name, readings)

    def _checked(
        self, source: str, data: bytes, items: Callable[[object], object], check: Callable[[object], Message]
    ) -> list[Message]:
        """The good ones among the items of a message."""
        found = []
        try:
            for item in check_list(items(parse(data))):
                try:
                    found.append(check(item))
                except BadValue as error:
                    self._skip(source, f"an item of a message: {error}")
        except BadValue as error:
            self._skip(source, f"a message: {error}")
        return found

    def _tell(self, method: Callable[..., None], *arguments: object) -> None:
        try:
            method(*arguments)
        except (redis.ConnectionError, redis.TimeoutError):
            raise  # the listener asked Redis something; after the next connect it gets everything again
        except Exception as error:
            self._skip("listener", f"{method.__name__}: {type(error).__name__}", error)

    def _skip(self, source: str, text: str, error: Exception | None = None) -> None:
        self._skipped(source)
        if (source, text) not in self._logged and len(self._logged) < MAX_KINDS_LOGGED:
            self._logged.add((source, text))
            log.log(
                logging.WARNING if error is None else logging.ERROR, "skipped, %s: %s", source, text, exc_info=error
            )


def _readings_of(message: object) -> object:
    if not isinstance(message, dict):
        raise BadValue("not an object")
    return message.get("readings")
