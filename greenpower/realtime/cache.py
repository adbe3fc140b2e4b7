"""The newest reading and status of every device, in memory. Everything that clients get comes from here."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import orjson

from greenpower.bus.latest import MAX_DEVICES_PER_TYPE
from greenpower.bus.message import Message, newer


class LatestCache:
    """One per process. Late readings change nothing; parts of one reading are joined."""

    def __init__(self) -> None:
        self._readings: dict[str, dict[str, Message]] = {}
        self._statuses: dict[str, dict[str, Message]] = {}
        self._texts: dict[tuple[str, str], orjson.Fragment] = {}

    def add_readings(self, type_name: str, readings: Iterable[Message]) -> list[str]:
        """Add readings of a type. Returns the devices whose newest reading has changed, each once."""
        kept = self._readings.setdefault(type_name, {})
        changed: dict[str, None] = {}
        for reading in readings:
            device = reading["device_id"]
            old = kept.get(device)
            if old is None and len(kept) >= MAX_DEVICES_PER_TYPE:
                continue
            if (now := newer(old, reading)) is not None:
                kept[device] = now
                changed[device] = None
                self._texts.pop((type_name, device), None)
        return list(changed)

    def add_statuses(self, statuses: Iterable[Message]) -> list[Message]:
        """Add statuses. Returns those that have changed."""
        changed = []
        for status in statuses:
            kept = self._statuses.setdefault(status["type"], {})
            old = kept.get(status["device_id"])
            if old is None and len(kept) >= MAX_DEVICES_PER_TYPE:
                continue
            if old is not None and (old["since"] or "") > (status["since"] or ""):
                continue
            kept[status["device_id"]] = status
            if old is None or old["status"] != status["status"]:
                changed.append(status)
        return changed

    def reading(self, type_name: str, device_id: str) -> Message | None:
        """The newest reading of a device."""
        return self._readings.get(type_name, {}).get(device_id)

    def text(self, type_name: str, device_id: str) -> orjson.Fragment | None:
        """The newest reading of a device as JSON, encoded once for all clients."""
        key = (type_name, device_id)
        text = self._texts.get(key)
        if text is None and (reading := self.reading(type_name, device_id)) is not None:
            text = self._texts[key] = orjson.Fragment(orjson.dumps(reading))
        return text

    def status(self, type_name: str, device_id: str) -> Message | None:
        """The status of a device."""
        return self._statuses.get(type_name, {}).get(device_id)

    def devices(self, type_name: str) -> Iterator[str]:
        """The devices of a type that have a reading or a status; those with readings first."""
        readings = self._readings.get(type_name, {})
        yield from readings
        yield from (device for device in self._statuses.get(type_name, {}) if device not in readings)
