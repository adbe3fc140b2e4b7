"""A client: its subscriptions, what waits for it, and when it may get more. It sends nothing itself.

No values are queued. The client keeps which devices have changed, and gets their newest reading when it is sent. So a
client that is slow, or wants few messages, costs one entry per device.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from greenpower.bus.message import Message
from greenpower.realtime.cache import LatestCache
from greenpower.realtime.token import READ_DEVICES, SocketClaims

ALL = "*"
# Messages of readings per second, at most, also with many ingest processes.
MAX_HZ = 20.0
SNAPSHOT_DEVICES = 250
MAX_READINGS_PER_MESSAGE = 2_000
# More alarms than these do not wait for a slow client: it is told that it missed some.
MAX_WAITING_ALARMS = 1_000

Key = tuple[str, str]
Fields = frozenset[str] | None


@dataclass(slots=True, eq=False, kw_only=True)
class Subscription:
    """A device of a type, or `*`. fields: None for all. pause: seconds between messages.

    changed: devices with a new reading. due: time of the next message. snapshot: devices still to be sent.
    """

    type: str
    device: str
    fields: Fields
    pause: float
    changed: set[str] = field(default_factory=set)
    due: float = 0.0
    snapshot: Iterator[str] | None = None

    @property
    def key(self) -> Key:
        return self.type, self.device


@dataclass(slots=True, eq=False, kw_only=True)
class Client:
    """One connection. statuses: the newest ones that wait to be sent, by (type, device). visible: the devices of the
    service zones that it is restricted to; None: not restricted. asked: how often that was looked up. wants_alarms:
    whether it asked for them; alarms: those that wait to be sent, missed: how many more there were."""

    sid: str
    eio_sid: str
    claims: SocketClaims
    subscriptions: dict[Key, Subscription] = field(default_factory=dict)
    statuses: dict[Key, Message] = field(default_factory=dict)
    visible: frozenset[str] | None = None
    asked: int = 0
    wants_alarms: bool = False
    alarms: list[Message] = field(default_factory=list)
    missed: int = 0

    def may_see(self, type_name: str, device: str | None = None) -> bool:
        """Whether it may see a type, or a device of it, now."""
        visible = device is None or self.visible is None or device in self.visible
        return visible and self.claims.may_see(type_name, device)

    def see(self, visible: frozenset[str] | None, cache: LatestCache) -> None:
        """It may see other devices from now on. What it did not see before comes as if it were new."""
        before, self.visible = self.visible, visible
        for subscription in self.subscriptions.values():
            known = cache.devices(subscription.type) if subscription.device == ALL else (subscription.device,)
            for device in known:
                if before is not None and device not in before and self.may_see(subscription.type, device):
                    subscription.changed.add(device)
                    if (status := cache.status(subscription.type, device)) is not None:
                        self.note_status(status)

    def sees(self, type_name: str, device: str) -> bool:
        """Whether it subscribed to this device and may see it."""
        asked = (type_name, device) in self.subscriptions or (type_name, ALL) in self.subscriptions
        return asked and self.may_see(type_name, device)

    def note(self, subscription: Subscription, devices: Iterable[str]) -> None:
        """Devices of a subscription have new readings."""
        if self.claims.devices is None and self.visible is None:
            subscription.changed.update(devices)
        else:
            subscription.changed.update(device for device in devices if self.may_see(subscription.type, device))

    def note_status(self, status: Message) -> None:
        """A device's status has changed."""
        if self.claims.may_have(READ_DEVICES) and self.sees(status["type"], status["device_id"]):
            self.statuses[status["type"], status["device_id"]] = status

    def note_alarms(self, events: Iterable[Message]) -> bool:
        """Something happened to alarms. Returns whether anything waits for it then."""
        if self.wants_alarms:
            for event in events:
                if not self.may_see_alarm(event):
                    continue
                if len(self.alarms) < MAX_WAITING_ALARMS:
                    self.alarms.append(event)
                else:
                    self.missed += 1
        return bool(self.alarms)

    def may_see_alarm(self, event: Message) -> bool:
        """Whether it may see an alarm. One of a point or zone is for those who may see everything: the gateway does not
        know in which zone a point lies."""
        if event["device_id"] is None or event["type"] is None:
            return self.visible is None and self.claims.devices is None and self.claims.types is None
        return self.may_see(event["type"], event["device_id"])

    @property
    def waits(self) -> bool:
        """Whether anything waits to be sent."""
        return bool(self.statuses or self.alarms) or any(
            item.changed or item.snapshot is not None for item in self.subscriptions.values()
        )

    def take(self, cache: LatestCache, now: float) -> tuple[str, object] | None:
        """The next message that is due, (event, data), or None. now: monotonic seconds."""
        for subscription in self.subscriptions.values():
            if subscription.snapshot is not None:
                return "snapshot", self._snapshot(subscription, cache)
        if self.statuses:
            waiting, self.statuses = self.statuses, {}
            if statuses := [status for key, status in waiting.items() if self.may_see(*key)]:
                return "device_status", statuses
        if self.alarms:
            events, self.alarms, missed, self.missed = self.alarms, [], self.missed, 0
            if seen := [event for event in events if self.may_see_alarm(event)]:
                return "alarm", {"events": seen, "missed": missed}
        readings = self._readings(cache, now)
        return ("reading", readings) if readings else None

    def _snapshot(self, subscription: Subscription, cache: LatestCache) -> dict[str, object]:
        """The next piece: `{type, device_id, readings, statuses, last}`."""
        assert subscription.snapshot is not None
        readings: list[object] = []
        statuses: list[Message] = []
        devices = []
        for device in subscription.snapshot:
            devices.append(device)
            if len(devices) >= SNAPSHOT_DEVICES:
                break
        else:
            subscription.snapshot = None
        for device in devices:
            if not self.may_see(subscription.type, device):
                continue
            subscription.changed.discard(device)
            if (reading := view(cache, subscription.type, device, subscription.fields)) is not None:
                readings.append(reading)
            status = cache.status(subscription.type, device)
            if status is not None and self.claims.may_have(READ_DEVICES):
                statuses.append(status)
        return {
            "type": subscription.type,
            "device_id": subscription.device,
            "readings": readings,
            "statuses": statuses,
            "last": subscription.snapshot is None,
        }

    def _readings(self, cache: LatestCache, now: float) -> list[object]:
        """The newest readings of changed devices; if two subscriptions cover one, with the fields of both."""
        found: dict[Key, Fields] = {}
        for subscription in self.subscriptions.values():
            if not subscription.changed or now < subscription.due:
                continue
            subscription.due = now + subscription.pause
            while subscription.changed and len(found) < MAX_READINGS_PER_MESSAGE:
                key = (subscription.type, subscription.changed.pop())
                if not self.may_see(*key):  # not any more
                    continue
                found[key] = _both(found[key], subscription.fields) if key in found else subscription.fields
        views = (view(cache, *key, fields) for key, fields in found.items())
        return [reading for reading in views if reading is not None]


def view(cache: LatestCache, type_name: str, device: str, fields: Fields) -> object | None:
    """A device's newest reading, ready to be encoded, with only some fields; None if nothing is left."""
    if fields is None:
        return cache.text(type_name, device)
    reading = cache.reading(type_name, device)
    if reading is None:
        return None
    payload = {name: value for name, value in reading["payload"].items() if name in fields}
    return {**reading, "payload": payload} if payload else None


def _both(one: Fields, other: Fields) -> Fields:
    return None if one is None or other is None else one | other
