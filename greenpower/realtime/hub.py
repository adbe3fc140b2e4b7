"""The hub: passes readings and statuses to the clients that subscribed. It sends through functions, not Socket.IO."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from greenpower.bus.message import Message
from greenpower.bus.revocation import ACCESS_SECONDS, MARGIN_SECONDS
from greenpower.realtime.cache import LatestCache
from greenpower.realtime.client import ALL, Client, Key, Subscription

# A client gets no further message while this many are on their way to it: nothing piles up for a slow client.
MAX_QUEUED = 2
MAX_REVOKED = 10_000

Send = Callable[[Client, str, object], None]
Queued = Callable[[Client], int]
Failed = Callable[[Client, Exception], None]


class Hub:
    """All clients of a process. send: hands a message to a client's transport. queued: how many wait there.

    failed: told of a client that could not be served; it is out of the hub then, and costs the others nothing.
    `some_wait` is set while clients wait for `tick`.
    """

    def __init__(self, send: Send, queued: Queued, failed: Failed, clock: Callable[[], float] = time.monotonic) -> None:
        self.cache = LatestCache()
        self.clients: dict[str, Client] = {}
        self.waiting: dict[Client, None] = {}
        self.some_wait = threading.Event()
        self._rooms: dict[Key, dict[Client, Subscription]] = {}
        self._send = send
        self._queued = queued
        self._failed = failed
        self._clock = clock
        self._revoked: OrderedDict[str, float] = OrderedDict()

    def connect(self, client: Client) -> bool:
        """Add a client. Returns False, and does nothing, if its login was revoked a moment ago."""
        if client.claims.family in self._revoked:
            return False
        self.clients[client.sid] = client
        return True

    def disconnect(self, sid: str) -> None:
        """Remove a client."""
        client = self.clients.pop(sid, None)
        if client is not None:
            for key in list(client.subscriptions):
                self.unsubscribe(client, key)
            self.waiting.pop(client, None)

    def subscribe(self, client: Client, subscription: Subscription) -> None:
        """Add a subscription, or replace the one with the same key. Its snapshot is sent first."""
        devices = self.cache.devices(subscription.type) if subscription.device == ALL else [subscription.device]
        subscription.snapshot = iter(list(devices))
        client.subscriptions[subscription.key] = subscription
        self._rooms.setdefault(subscription.key, {})[client] = subscription
        self._keep_waiting(client)

    def unsubscribe(self, client: Client, key: Key) -> bool:
        """Remove a subscription. Returns False if there is none."""
        if client.subscriptions.pop(key, None) is None:
            return False
        room = self._rooms[key]
        del room[client]
        if not room:
            del self._rooms[key]
        return True

    def readings(self, type_name: str, readings: list[Message]) -> None:
        """New readings of a type."""
        changed = self.cache.add_readings(type_name, readings)
        touched: dict[Client, None] = {}
        if changed:
            for client, subscription in self._rooms.get((type_name, ALL), {}).items():
                client.note(subscription, changed)
                touched[client] = None
        for device in changed:
            for client, subscription in self._rooms.get((type_name, device), {}).items():
                client.note(subscription, (device,))
                touched[client] = None
        for client in touched:
            self.flush(client)

    def statuses(self, statuses: list[Message]) -> None:
        """New statuses."""
        for status in self.cache.add_statuses(statuses):
            for device in (ALL, status["device_id"]):
                for client in self._rooms.get((status["type"], device), {}):
                    client.note_status(status)
                    self._keep_waiting(client)

    def alarms(self, events: list[Message]) -> None:
        """What happened to alarms."""
        for client in self.clients.values():
            if client.note_alarms(events):
                self.waiting[client] = None

    def revoke(self, family: str) -> list[Client]:
        """A login was revoked. Returns its clients."""
        self._revoked[family] = self._clock()
        while self._revoked and (
            len(self._revoked) > MAX_REVOKED
            or self._clock() - next(iter(self._revoked.values())) > ACCESS_SECONDS + MARGIN_SECONDS
        ):
            self._revoked.popitem(last=False)
        return [client for client in self.clients.values() if client.claims.family == family]

    def see(self, client: Client, visible: frozenset[str] | None) -> None:
        """A client may see other devices from now on."""
        client.see(visible, self.cache)
        self._keep_waiting(client)

    def expired(self, now: float) -> list[Client]:
        """The clients whose token has expired. now: Unix time."""
        return [client for client in self.clients.values() if client.claims.expires <= now]

    def flush(self, client: Client) -> None:
        """Send a client what is due, until enough is on its way; the rest waits for `tick`."""
        try:
            while self._queued(client) < MAX_QUEUED:
                message = client.take(self.cache, self._clock())
                if message is None:
                    break
                self._send(client, *message)
        except Exception as error:
            self.disconnect(client.sid)
            self._failed(client, error)
        if client.waits and client.sid in self.clients:
            self._keep_waiting(client)
        else:
            self.waiting.pop(client, None)

    def tick(self) -> None:
        """Try again for the clients that wait. Call it several times within the shortest pause of a subscription while
        `some_wait` is set."""
        for client in list(self.waiting):
            self.flush(client)
        if not self.waiting:
            self.some_wait.clear()

    def _keep_waiting(self, client: Client) -> None:
        self.waiting[client] = None
        self.some_wait.set()
