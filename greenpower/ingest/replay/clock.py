"""Settling times in a replay: as ingest did where the stamp is still read the same, by the rule where it is not."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from bson import ObjectId

from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.clock import ClockRule, arrival_time
from greenpower.ingest.steps.gathering import is_gathered
from greenpower.ingest.steps.repeated_hours import RepeatedHours
from greenpower.ingest.steps.repeated_stamp import Ask, make_ask, make_plan
from greenpower.ingest.steps.slots import Slots, slot_begin
from greenpower.ingest.steps.timekeeper import MAX_MOVED_APART
from greenpower.mongo.client import Document
from greenpower.mongo.devices.registered import KnownDevices
from greenpower.mongo.events.store import REDELIVERED
from greenpower.mongo.readings.clock_mark import ARRIVAL

NO_EVENT: Document = {}
# Values of an event's `clock` with which the stamp had the time of arrival.
BY_ARRIVAL = ("stuck", ARRIVAL)


@dataclass(slots=True, eq=False, kw_only=True)
class RecordedArrival(Arrival):
    """A frame that is read again. event: what was written down when it came."""

    event: Document


def event_of(item: FrameReading) -> Document:
    """The event of a reading's frame; empty for a fragment that waited: its frame was read in an earlier batch."""
    return item.arrival.event if isinstance(item.arrival, RecordedArrival) else NO_EVENT


class ReplayClock:
    """The clocks of one replay. agreed: the offsets that it had to agree on anew, by device. joined: the events of
    fragments that waited for their device, by id."""

    def __init__(self, rule: ClockRule, devices: KnownDevices, repeated: RepeatedHours) -> None:
        self.rule = rule
        self.devices = devices
        self.repeated = repeated
        self.joined: Mapping[ObjectId, Document] = {}
        self.agreed: dict[str, timedelta] = {}
        self._recorded: dict[str, timedelta] = {}
        self._slots = Slots()

    async def settle(self, readings: list[FrameReading]) -> None:
        """Give each reading its time. A fragment that waited comes after the one that names its device."""
        asks = self._asks(readings)
        await self.repeated.begin([ask for item, ask in asks.items() if self._recorded_time(item, ask) is None])
        for item in readings:
            arrival, event, device = item.arrival.received_at, self._event(item), item.device_id or ""
            if is_gathered(item):
                item.time, item.undated = self._gathered(item, event), True
                continue
            if item.stamp is None or event.get("clock") in BY_ARRIVAL:
                item.time, item.undated = _arrived(arrival, event), True
                continue
            if (ask := asks.get(item)) is not None:
                item.time = self._recorded_time(item, ask) or self.repeated.choose(ask)
                self.repeated.note(ask, item.time)
                continue
            time = self.rule.measured(item.stamp, arrival, self.devices.zone(device))
            if not self.rule.plausible(time, arrival):
                time += self._offset(device, time, arrival, event)
            item.time = time
        await self.repeated.move()

    def _gathered(self, item: FrameReading, event: Document) -> datetime:
        """The time that a value which came alone was given when it came; of one that was not stored, as it would be."""
        arrival, stored = item.arrival, _stored(event)
        assert arrival.gather is not None
        key = arrival.type_name or "", item.device_id or "", slot_begin(arrival.received_at, arrival.gather)
        if len(stored) == 1:
            self._slots.tell(key, [(stored[0], item.payload)])
            return stored[0]
        return self._slots.place(key, arrival.received_at, item.payload)

    def _event(self, item: FrameReading) -> Document:
        event = event_of(item)
        if event is NO_EVENT and item.arrival.event_id is not None:
            return self.joined.get(item.arrival.event_id, NO_EVENT)
        return event

    def _asks(self, readings: list[FrameReading]) -> dict[FrameReading, Ask]:
        """The readings whose stamps mean one of two times, both of which can be or were chosen."""
        asks: dict[FrameReading, Ask] = {}
        for item in readings:
            if item.stamp is None or item.device_id is None:
                continue
            ask = make_ask(item, self.rule, self.devices.zone(item.device_id))
            if ask is not None and (
                self._recorded_time(item, ask) is not None or make_plan(ask, self.rule, ()).time is None
            ):
                asks[item] = ask
        return asks

    def _recorded_time(self, item: FrameReading, ask: Ask) -> datetime | None:
        """The time that was chosen when it came, with the offset that its clock had then."""
        event = self._event(item)
        offset = timedelta(milliseconds=event.get("offset_ms", 0))
        return next((time + offset for time in (ask.first, ask.second) if time + offset in _stored(event)), None)

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
