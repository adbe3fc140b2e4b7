"""Settling times in a replay: as ingest did where the stamp is still read the same, by the rule where it is not."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.clock import ClockRule, arrival_time
from greenpower.ingest.steps.timekeeper import MAX_MOVED_APART
from greenpower.mongo.client import Document
from greenpower.mongo.devices.settings import KnownDevices
from greenpower.mongo.events.store import REDELIVERED

NO_EVENT: Document = {}


@dataclass(slots=True, eq=False, kw_only=True)
class RecordedArrival(Arrival):
    """A frame that is read again. event: what was written down when it came."""

    event: Document


def event_of(item: FrameReading) -> Document:
    """The event of a reading's frame; empty for a fragment that waited: its frame was read in an earlier batch."""
    return item.arrival.event if isinstance(item.arrival, RecordedArrival) else NO_EVENT


class ReplayClock:
    """The clocks of one replay. agreed: the offsets that it had to agree on anew, by device."""

    def __init__(self, rule: ClockRule, devices: KnownDevices) -> None:
        self.rule = rule
        self.devices = devices
        self.agreed: dict[str, timedelta] = {}
        self._recorded: dict[str, timedelta] = {}

    async def settle(self, readings: list[FrameReading]) -> None:
        """Give each reading its time. A fragment that waited comes after the one that names its device."""
        for item in readings:
            arrival, event, device = item.arrival.received_at, event_of(item), item.device_id or ""
            if item.stamp is None or event.get("clock") == "stuck":
                item.time, item.undated = _arrived(arrival, event), True
                continue
            time = self.rule.measured(item.stamp, arrival, self.devices.zone(device))
            if not self.rule.plausible(time, arrival):
                time += self._offset(device, time, arrival, event)
            item.time = time

    def _offset(self, device: str, time: datetime, arrival: datetime, event: Document) -> timedelta:
        """What to add to a wrong clock's stamp."""
        before = event.get("offset_ms")
        if before is not None:
            offset = timedelta(milliseconds=before)
            if time + offset in _stored(event):
                self._recorded[device] = offset
                return offset  # the stamp means what it meant then
        elif event is NO_EVENT:
            recorded = self._recorded.get(device)
            if recorded is not None and self.rule.plausible(time + recorded, arrival):
                return recorded  # that of the fragment that names the device
        known = self.agreed.get(device)
        if known is None or not self.rule.plausible(time + known, arrival):
            known = self.agreed[device] = arrival_time(arrival) - time
        return known


def _arrived(arrival: datetime, event: Document) -> datetime:
    """The time of arrival, as ingest moved it apart from that of another frame; of one that came again, the first."""
    time = arrival_time(arrival)
    if event.get("reason") == REDELIVERED:
        return min(_stored(event), default=time)
    return next((stored for stored in _stored(event) if timedelta(0) <= stored - time < MAX_MOVED_APART), time)


def _stored(event: Document) -> list[datetime]:
    """The timestamps of the readings that an event gave."""
    stored = event.get("timestamp", [])
    return stored if isinstance(stored, list) else [stored]
