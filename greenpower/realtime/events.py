"""The Socket.IO events that clients send, answered with `{"ok": true, …}` or `{"ok": false, "error", "detail"}`.

What belongs here: accepting connections and changing subscriptions. What does not: what is sent to a client
(`greenpower.realtime.hub`).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection

import redis
from flask import request
from flask_socketio import ConnectionRefusedError, SocketIO

from greenpower.bus import revocation
from greenpower.bus.visibility import read_visible
from greenpower.realtime.client import Client
from greenpower.realtime.hub import Hub
from greenpower.realtime.metrics import RealtimeMetrics
from greenpower.realtime.request import BadRequest, RequestLimit, read_subscribe, read_unsubscribe
from greenpower.realtime.token import READ_ALARMS, Refused, SocketClaims, check_token

log = logging.getLogger(__name__)

NAMESPACE = "/telemetry"


class ClientEvents:
    """The handlers of the namespace. key: of the tokens' signatures. types: names of the data types there are."""

    def __init__(
        self, *, key: str, types: Collection[str], store: redis.Redis, hub: Hub, metrics: RealtimeMetrics
    ) -> None:
        self._key = key
        self._types = types
        self._store = store
        self._hub = hub
        self._metrics = metrics
        self._limits: dict[str, RequestLimit] = {}

    def register(self, socketio: SocketIO) -> None:
        """Let Socket.IO call the handlers."""

        def connect(auth: object = None) -> None:
            self._connect(auth, lambda sid: str(socketio.server.manager.eio_sid_from_sid(sid, NAMESPACE)))

        for name, handler in (
            ("connect", connect),
            ("disconnect", self._disconnect),
            ("subscribe", self._subscribe),
            ("unsubscribe", self._unsubscribe),
            ("subscribe_alarms", lambda data=None: self._want_alarms(data, True)),
            ("unsubscribe_alarms", lambda data=None: self._want_alarms(data, False)),
            ("renew", self._renew),
        ):
            socketio.on_event(name, handler, namespace=NAMESPACE)

    def _connect(self, auth: object, eio_sid_of: Callable[[str], str]) -> None:
        sid = _sid()
        try:
            claims = self._claims(auth)
            client = Client(sid=sid, eio_sid=eio_sid_of(sid), claims=claims, visible=frozenset())
            if not self._hub.connect(client):
                raise Refused("token-revoked")
            self.look_up(client)
        except Refused as error:
            self._metrics.refused.labels(str(error)).inc()
            raise ConnectionRefusedError(str(error)) from None
        except redis.RedisError as error:
            self._hub.disconnect(sid)
            log.warning("Redis: %.200s; a client was refused", error)
            self._metrics.refused.labels("unavailable").inc()
            raise ConnectionRefusedError("unavailable") from None
        self._limits[sid] = RequestLimit(time.monotonic())

    def look_up(self, client: Client) -> None:
        """Find out which devices a client may see now. Raises RedisError."""
        while True:
            client.asked += 1
            mine = client.asked
            found = read_visible(self._store, client.claims.subject)
            if client.asked == mine:  # else it may have changed meanwhile
                break
        if found is None and client.claims.restricted:
            found = frozenset()
        if found != client.visible:
            self._hub.see(client, found)

    def _claims(self, data: object) -> SocketClaims:
        """The claims of the token in `{"token": …}`. Raises Refused, RedisError."""
        claims = check_token(data.get("token") if isinstance(data, dict) else None, self._key)
        if revocation.is_revoked(self._store, claims.family):
            raise Refused("token-revoked")
        return claims

    def _disconnect(self, reason: object = None) -> None:
        self._hub.disconnect(_sid())
        self._limits.pop(_sid(), None)

    def _subscribe(self, data: object = None) -> dict[str, object]:
        try:
            client = self._client()
            subscription = read_subscribe(data, client, self._types)
        except BadRequest as error:
            return _refusal(error)
        self._hub.subscribe(client, subscription)
        return {"ok": True, "type": subscription.type, "device_id": subscription.device}

    def _unsubscribe(self, data: object = None) -> dict[str, object]:
        try:
            client = self._client()
            key = read_unsubscribe(data)
            if not self._hub.unsubscribe(client, key):
                raise BadRequest("not-subscribed")
        except BadRequest as error:
            return _refusal(error)
        return {"ok": True, "type": key[0], "device_id": key[1]}

    def _want_alarms(self, data: object, wanted: bool) -> dict[str, object]:
        try:
            client = self._client()
            if data not in (None, {}):
                raise BadRequest("bad-request", "this takes nothing")
            if wanted and not client.claims.may_have(READ_ALARMS):
                raise BadRequest("forbidden")
        except BadRequest as error:
            return _refusal(error)
        client.wants_alarms = wanted
        if not wanted:
            client.alarms.clear()
        return {"ok": True}

    def _renew(self, data: object = None) -> dict[str, object]:
        """Replace the token of a connection by a newer one of the same user or key, with the same limits."""
        try:
            client = self._client()
            claims, old = self._claims(data), client.claims
            if (old.subject, old.scopes, old.types, old.devices, old.restricted) != (
                claims.subject, claims.scopes, claims.types, claims.devices, claims.restricted
            ):  # fmt: skip
                raise BadRequest("other-rights", "connect again with this token")
        except Refused as error:
            return _refusal(BadRequest(str(error)))
        except BadRequest as error:
            return _refusal(error)
        except redis.RedisError:
            return _refusal(BadRequest("unavailable"))
        client.claims = claims
        return {"ok": True, "expires": claims.expires}

    def _client(self) -> Client:
        """The client that asks. Raises BadRequest if it asks too often, or is being disconnected."""
        client, limit = self._hub.clients.get(_sid()), self._limits.get(_sid())
        if client is None or limit is None:
            raise BadRequest("disconnected")
        if not limit.spend(time.monotonic()):
            raise BadRequest("too-many-requests")
        return client


def _sid() -> str:
    return str(request.sid)  # type: ignore[attr-defined]


def _refusal(error: BadRequest) -> dict[str, object]:
    return {"ok": False, "error": error.error, "detail": error.detail}
