"""Settling times in a replay: as ingest did where the stamp is still read the same, by the rule where it is not."""

from __future__ import annotations

from datetime import datetime, timedelta

from greenpower.ingest.arrival import Found
from greenpower.ingest.steps.clock import ClockRule, arrival_time
from greenpower.ingest.steps.timekeeper import CLOSE
from greenpower.mongo.client import Document
from greenpower.mongo.devices.settings import KnownDevices

MILLISECOND = timedelta(milliseconds=1)


class ReplayClock:
    """The clocks of one replay. agreed: the offsets that it had to agree on anew, by device."""

    def __init__(self, rule: ClockRule, devices: KnownDevices) -> None:
        self.rule = rule
        self.devices = devices
        self.agreed: dict[str, timedelta] = {}

    async def settle(self, batch: list[Found], recorded: dict[int, Document]) -> None:
        """Give each reading its time. recorded: the event of each arrival, by its `id()`."""
        for found in batch:
            arrival = found.arrival.received_at
            event = recorded.get(id(found.arrival), {})
            if found.stamp is None or event.get("clock") == "stuck":
                found.time, found.undated = _arrived(arrival, event), True
                continue
            time = self.rule.measured(found.stamp, arrival, self.devices.zone(found.device_id or ""))
            if self.rule.plausible(time, arrival):
                found.time = time
                continue
            found.time = time + self._offset(found.device_id or "", time, arrival, event)

    def _offset(self, device: str, time: datetime, arrival: datetime, event: Document) -> timedelta:
        """What to add to a wrong clock's stamp."""
        before = event.get("offset_ms")
        if before is not None:
            offset = timedelta(milliseconds=before)
            if time + offset in _stored(event):
                return offset  # the stamp means what it meant then
        known = self.agreed.get(device)
        if known is None or not self.rule.plausible(time + known, arrival):
            known = self.agreed[device] = arrival_time(arrival) - time
        return known


def _arrived(arrival: datetime, event: Document) -> datetime:
    """The time of arrival, as ingest moved it apart from that of another frame."""
    time = arrival_time(arrival)
    return next((stored for stored in _stored(event) if timedelta(0) <= stored - time < CLOSE), time)


def _stored(event: Document) -> list[datetime]:
    """The timestamps of the readings that an event gave."""
    stored = event.get("timestamp", [])
    return stored if isinstance(stored, list) else [stored]
