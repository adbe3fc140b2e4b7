"""The gateway: Socket.IO connections in the namespace `/telemetry`, brought together with the hub and the feed."""

from __future__ import annotations

import logging
import time
from typing import Any

import orjson
from flask import Flask, Response
from flask_socketio import SocketIO

from greenpower.bus import revocation
from greenpower.bus.message import Message
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.loops import Loops, ThreadLoop
from greenpower.realtime.client import Client
from greenpower.realtime.events import NAMESPACE, ClientEvents
from greenpower.realtime.feed import Feed, make_client
from greenpower.realtime.hub import Hub
from greenpower.realtime.metrics import RealtimeMetrics
from greenpower.realtime.origin import Origins

log = logging.getLogger(__name__)

PING_SECONDS, PONG_SECONDS = 15, 10
MAX_REQUEST_BYTES = 64 * 1024
TICK_SECONDS = 0.02
# Without anyone who waits it only looks whether it is to stop.
IDLE_TICK_SECONDS = 0.5
SWEEP_SECONDS = 1.0
STALLED_SECONDS = 10.0
# A connection that has not said who it is by then is closed.
NAMELESS_SECONDS = 10.0


class _Json:
    """orjson under the names that python-socketio calls; what the cache encoded already goes in as it is."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: object) -> Any:
        return orjson.loads(text)


class RealtimeGateway:
    """One realtime process. `app` is its WSGI app; `loops` its background work, which `serve` starts."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        url = settings.need("REDIS_URL")
        types = frozenset(datatype.name for datatype in registry)
        self._redis = make_client(url)
        self._nameless: dict[str, float] = {}
        self.hub = Hub(self._send, self._queued, self._failed)
        self.metrics = RealtimeMetrics(self.hub)
        self.app = Flask("greenpower.realtime", static_folder=None)
        self.socketio = SocketIO(
            self.app,
            async_mode="eventlet",
            async_handlers=False,
            json=_Json,
            namespaces=[NAMESPACE],
            cors_allowed_origins=Origins(settings).allows,
            ping_interval=PING_SECONDS,
            ping_timeout=PONG_SECONDS,
            max_http_buffer_size=MAX_REQUEST_BYTES,
        )
        key = settings.need("JWT_SIGNING_KEY")
        self._events = events = ClientEvents(
            key=key, types=types, store=self._redis, hub=self.hub, metrics=self.metrics
        )
        events.register(self.socketio)
        self.app.add_url_rule("/health", "health", self._health)
        self.app.add_url_rule("/metrics", "metrics", self._metrics)
        self.loops = Loops(self.metrics.registry)
        feed = Feed(url, types, self, lambda source: self.metrics.skipped.labels(source).inc())
        self.feed = self.loops.add(feed.make_loop())
        self.loops.add(ThreadLoop("ticker", self._tick, stalled_after=STALLED_SECONDS))
        self.loops.add(ThreadLoop("sweeper", self._sweep, stalled_after=STALLED_SECONDS))

    # The listener of the feed.

    def on_readings(self, type_name: str, readings: list[Message]) -> None:
        self.hub.readings(type_name, readings)

    def on_statuses(self, statuses: list[Message]) -> None:
        self.hub.statuses(statuses)

    def on_alarms(self, events: list[Message]) -> None:
        self.hub.alarms(events)

    def on_revoked(self, family: str) -> None:
        for client in self.hub.revoke(family):
            self._end(client, "token-revoked")

    def on_visible(self, subject: str) -> None:
        """Somebody may see other devices now. Raises RedisError."""
        for client in [client for client in self.hub.clients.values() if client.claims.subject == subject]:
            self._events.look_up(client)

    def on_loaded(self) -> None:
        """Logins may have been revoked, and restrictions changed, while Redis was away. Raises RedisError."""
        for family in {client.claims.family for client in self.hub.clients.values()}:
            if revocation.is_revoked(self._redis, family):
                self.on_revoked(family)
        for subject in {client.claims.subject for client in self.hub.clients.values()}:
            self.on_visible(subject)

    # What is sent.

    def _send(self, client: Client, event: str, data: object) -> None:
        self.metrics.sent.labels(event).inc()
        self.socketio.server.emit(event, data, to=client.sid, namespace=NAMESPACE)

    def _queued(self, client: Client) -> int:
        socket = self.socketio.server.eio.sockets.get(client.eio_sid)
        return 0 if socket is None else int(socket.queue.qsize())

    def _failed(self, client: Client, error: Exception) -> None:
        """Close the connection of a client that could not be served: it connects again, and gets a snapshot."""
        log.error("a client could not be served and is disconnected", exc_info=error)
        self.metrics.ended.labels("fault").inc()
        self._cut(client.eio_sid)

    def _cut(self, eio_sid: str) -> None:
        """Close a connection and forget it. engineio's own `disconnect` waits until a client has taken what it is sent:
        one that polls and does not come again would hold the sweeper for ever."""
        if (socket := self.socketio.server.eio.sockets.pop(eio_sid, None)) is not None:
            socket.close(wait=False, reason=self.socketio.server.eio.reason.SERVER_DISCONNECT)

    def _end(self, client: Client, reason: str) -> None:
        """Tell a client why, and disconnect it. Where that fails, the sweeper closes its connection."""
        self.metrics.ended.labels(reason).inc()
        self.hub.disconnect(client.sid)
        try:
            self.socketio.server.emit("ended", {"reason": reason}, to=client.sid, namespace=NAMESPACE)
            self.socketio.server.disconnect(client.sid, namespace=NAMESPACE)
        except Exception:
            log.exception("a client could not be told that its connection ends")

    def _tick(self, loop: ThreadLoop) -> None:
        """Send what had to wait."""
        while True:
            self.hub.tick()
            loop.advance()
            if loop.wait(TICK_SECONDS):
                return
            self.hub.some_wait.wait(IDLE_TICK_SECONDS)

    def _sweep(self, loop: ThreadLoop) -> None:
        """End what has expired."""
        while True:
            for client in self.hub.expired(time.time()):
                self._end(client, "token-expired")
            self._close_nameless()
            loop.advance()
            if loop.wait(SWEEP_SECONDS):
                return

    def _close_nameless(self) -> None:
        """Close connections without a client: they never said who they are, or were refused and stayed."""
        named = {client.eio_sid for client in self.hub.clients.values()}
        server, now = self.socketio.server, time.monotonic()
        there = {sid for sid in server.eio.sockets if sid not in named}
        self._nameless = {sid: self._nameless.get(sid, now) for sid in there}
        for sid, since in self._nameless.items():
            if now - since > NAMELESS_SECONDS:
                self._cut(sid)

    # What operators see.

    def _health(self) -> Response:
        loops = self.loops.health()
        ok = all(loop["ok"] for loop in loops.values())
        found = {"status": "ok" if ok else "degraded", "redis": loops[self.feed.name]["ok"],
                 "clients": len(self.hub.clients), "loops": loops}  # fmt: skip
        return Response(orjson.dumps(found), 200 if ok else 503, content_type="application/json")

    def _metrics(self) -> Response:
        return Response(self.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")
