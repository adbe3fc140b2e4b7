"""The gateway: Socket.IO connections in the namespace `/telemetry`, brought together with the hub and the feed."""

from __future__ import annotations

import logging
import time
from typing import Any

import eventlet
import orjson
import redis
from flask import Flask, Response, request
from flask_socketio import ConnectionRefusedError, SocketIO

from greenpower.bus import revocation
from greenpower.bus.message import Message
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.realtime.client import Client
from greenpower.realtime.feed import Feed, make_client
from greenpower.realtime.hub import Hub
from greenpower.realtime.metrics import Metrics
from greenpower.realtime.origin import Origins
from greenpower.realtime.request import Allowance, Bad, read_subscribe, read_unsubscribe
from greenpower.realtime.token import Refused, check_token

log = logging.getLogger(__name__)

NAMESPACE = "/telemetry"
PING_SECONDS, PONG_SECONDS = 15, 10
LONGEST_REQUEST = 64 * 1024
TICK_SECONDS = 0.02
SWEEP_SECONDS = 1.0
# A connection that has not said who it is by then is closed.
NAMELESS_SECONDS = 10.0


class _Json:
    """orjson under the names that python-socketio calls; what the mirror encoded already goes in as it is."""

    @staticmethod
    def dumps(value: object, **_: object) -> str:
        return orjson.dumps(value).decode()

    @staticmethod
    def loads(text: str | bytes, **_: object) -> Any:
        return orjson.loads(text)


class Gateway:
    """One realtime process. `app` is its WSGI app; `start` its background work."""

    def __init__(self, settings: Settings, registry: Registry) -> None:
        self._key = settings.need("JWT_SIGNING_KEY")
        url = settings.need("REDIS_URL")
        self._types = frozenset(datatype.name for datatype in registry)
        self._redis = make_client(url)
        self._allowances: dict[str, Allowance] = {}
        self._nameless: dict[str, float] = {}
        self.hub = Hub(self._send, self._queued)
        self.metrics = Metrics(self.hub)
        self.feed = Feed(url, self._types, self)
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
            max_http_buffer_size=LONGEST_REQUEST,
        )
        for name, handler in (
            ("connect", self._connect),
            ("disconnect", self._disconnect),
            ("subscribe", self._subscribe),
            ("unsubscribe", self._unsubscribe),
            ("renew", self._renew),
        ):
            self.socketio.on_event(name, handler, namespace=NAMESPACE)
        self.app.add_url_rule("/health", "health", self._health)
        self.app.add_url_rule("/metrics", "metrics", self._metrics)

    def start(self) -> None:
        """Start listening to Redis, sending to those that wait, and ending what has expired."""
        eventlet.spawn(self.feed.run, None, lambda: eventlet.sleep(0))
        eventlet.spawn(self._tick)
        eventlet.spawn(self._sweep)

    # What the feed tells.

    def on_readings(self, type_name: str, readings: list[Message]) -> None:
        self.hub.readings(type_name, readings)

    def on_statuses(self, statuses: list[Message]) -> None:
        self.hub.statuses(statuses)

    def on_revoked(self, family: str) -> None:
        for client in self.hub.revoke(family):
            self._end(client, "token-revoked")

    def on_loaded(self) -> None:
        """Logins may have ended while Redis was away from us."""
        for family in {client.claims.family for client in self.hub.clients.values()}:
            if revocation.is_revoked(self._redis, family):
                self.on_revoked(family)

    # What clients say. They get answers `{"ok": true, …}` or `{"ok": false, "error", "detail"}`.

    def _connect(self, auth: object = None) -> None:
        sid = _sid()
        try:
            claims = check_token(auth.get("token") if isinstance(auth, dict) else None, self._key)
            if revocation.is_revoked(self._redis, claims.family):
                raise Refused("token-revoked")
            eio_sid = self.socketio.server.manager.eio_sid_from_sid(sid, NAMESPACE)
            if not self.hub.connect(Client(sid=sid, eio_sid=eio_sid, claims=claims)):
                raise Refused("token-revoked")
        except Refused as error:
            self.metrics.refused.labels(str(error)).inc()
            raise ConnectionRefusedError(str(error)) from None
        except redis.RedisError as error:
            log.warning("Redis: %.200s; a client was refused", error)
            self.metrics.refused.labels("unavailable").inc()
            raise ConnectionRefusedError("unavailable") from None
        self._allowances[sid] = Allowance(time.monotonic())

    def _disconnect(self, reason: object = None) -> None:
        self.hub.disconnect(_sid())
        self._allowances.pop(_sid(), None)

    def _subscribe(self, data: object = None) -> dict[str, object]:
        try:
            client = self._client()
            subscription = read_subscribe(data, client, self._types)
        except Bad as error:
            return _refusal(error)
        self.hub.subscribe(client, subscription)
        return {"ok": True, "type": subscription.type, "device_id": subscription.device}

    def _unsubscribe(self, data: object = None) -> dict[str, object]:
        try:
            client = self._client()
            key = read_unsubscribe(data)
            if not self.hub.unsubscribe(client, key):
                raise Bad("not-subscribed")
        except Bad as error:
            return _refusal(error)
        return {"ok": True, "type": key[0], "device_id": key[1]}

    def _renew(self, data: object = None) -> dict[str, object]:
        """A new token for a connection that is there: of the same user or key, with the same limits."""
        try:
            client = self._client()
            claims = check_token(data.get("token") if isinstance(data, dict) else None, self._key)
            old = client.claims
            if revocation.is_revoked(self._redis, claims.family):
                raise Bad("token-revoked")
            if (old.subject, old.scopes, old.types, old.devices) != (
                claims.subject, claims.scopes, claims.types, claims.devices
            ):  # fmt: skip
                raise Bad("other-rights", "connect anew with this token")
        except Refused as error:
            return _refusal(Bad(str(error)))
        except Bad as error:
            return _refusal(error)
        except redis.RedisError:
            return _refusal(Bad("unavailable"))
        client.claims = claims
        return {"ok": True, "expires": claims.expires}

    def _client(self) -> Client:
        """Who asks. Raises Bad where he asks too often, or is being disconnected."""
        client, allowance = self.hub.clients.get(_sid()), self._allowances.get(_sid())
        if client is None or allowance is None:
            raise Bad("disconnected")
        if not allowance.spend(time.monotonic()):
            raise Bad("too-many-requests")
        return client

    # What is sent.

    def _send(self, client: Client, event: str, data: object) -> None:
        self.metrics.sent.labels(event).inc()
        self.socketio.server.emit(event, data, to=client.sid, namespace=NAMESPACE)

    def _queued(self, client: Client) -> int:
        socket = self.socketio.server.eio.sockets.get(client.eio_sid)
        return 0 if socket is None else int(socket.queue.qsize())

    def _end(self, client: Client, reason: str) -> None:
        """Tell a client why, and disconnect it."""
        self.metrics.ended.labels(reason).inc()
        self.hub.disconnect(client.sid)
        self.socketio.server.emit("ended", {"reason": reason}, to=client.sid, namespace=NAMESPACE)
        self.socketio.server.disconnect(client.sid, namespace=NAMESPACE)

    def _tick(self) -> None:
        while True:
            eventlet.sleep(TICK_SECONDS)
            try:
                self.hub.tick()
            except Exception:
                log.exception("what waits could not be sent")

    def _sweep(self) -> None:
        while True:
            eventlet.sleep(SWEEP_SECONDS)
            try:
                for client in self.hub.expired(time.time()):
                    self._end(client, "token-expired")
                self._close_nameless()
            except Exception:
                log.exception("what has expired could not be ended")

    def _close_nameless(self) -> None:
        """Close connections without a client: they never said who they are, or were refused and stayed."""
        named = {client.eio_sid for client in self.hub.clients.values()}
        server, now = self.socketio.server, time.monotonic()
        there = {sid for sid in server.eio.sockets if sid not in named}
        self._nameless = {sid: self._nameless.get(sid, now) for sid in there}
        for sid, since in self._nameless.items():
            if now - since > NAMELESS_SECONDS:
                server.eio.disconnect(sid)

    # What operators see.

    def _health(self) -> Response:
        found = {"status": "ok" if self.feed.connected else "degraded", "redis": self.feed.connected,
                 "clients": len(self.hub.clients)}  # fmt: skip
        return Response(orjson.dumps(found), 200 if self.feed.connected else 503, content_type="application/json")

    def _metrics(self) -> Response:
        return Response(self.metrics.text(), content_type="text/plain; version=0.0.4; charset=utf-8")


def _sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]


def _refusal(error: Bad) -> dict[str, object]:
    return {"ok": False, "error": error.error, "detail": error.detail}
