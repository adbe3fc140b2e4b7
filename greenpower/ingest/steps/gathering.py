"""Gathering: values that come one by one, without a stamp, are given the time of the reading that they belong to.

Batches do this one after the other, before anything else is awaited, so that values keep the order in which they came.
Of a slot that this process may not have seen all of (it began before the process, or several processes share the
topics), what is stored is read first. A value that is delivered again is known by its packet id, and one of a killed
process has its time in the spool: both get the time that they had.

What does not belong here: which time a value gets (`slots`), writing (`storing`).
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime, timedelta

from pymongo.asynchronous.database import AsyncDatabase

from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.slots import MAX_AHEAD, SlotKey, Slots, slot_begin
from greenpower.mongo.client import Document
from greenpower.mongo.events.store import REDELIVERED, Delivered, delivered, raw_document
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.gathered import read_slots
from greenpower.mongo.schema.layout import EVENTS

MAX_DELIVERIES = 20_000


class Gathering:
    """Settles the times of gathered values. One per ingest process. collections: {type name: collection}.

    shared: whether other processes take frames of the same devices.
    """

    def __init__(
        self,
        db: AsyncDatabase[Document],
        collections: Mapping[str, str],
        on_retry: Callable[[Exception], None],
        *,
        shared: bool = False,
    ) -> None:
        self.db = db
        self.collections = collections
        self._on_retry = on_retry
        self._shared = shared
        self._since = datetime.now(UTC)
        self._slots = Slots()
        self._delivered: OrderedDict[int, Delivered] = OrderedDict()  # the newest frame with each packet id
        self._order = asyncio.Lock()

    async def settle(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Set the times of readings that are gathered, waiting for MongoDB as long as it takes."""
        items = [item for item in readings if is_gathered(item)]
        if not items:
            return readings
        async with self._order:
            for item in items:
                _keep_packet(item.arrival)
            # What is in the spool without a time was not stored, whatever was once sent with its packet id.
            await self._recognise([item for item in items if item.arrival.dup and item.arrival.spooled is None])
            left = [item for item in items if item.time is None]
            await self._read(left)
            decided = {item.arrival: iter(item.arrival.times or ()) for item in left}
            for item in left:
                arrival, key = item.arrival, _key(item)
                item.undated = True
                if (time := next(decided[arrival], None)) is None:
                    item.time = self._slots.place(key, arrival.received_at, item.payload)
                else:
                    item.time = time
                    self._slots.tell(key, [(time, item.payload)])
                if arrival.packet is not None:
                    self._remember(arrival.packet, Delivered(arrival.topic, arrival.payload, item.time))
        return readings

    async def _recognise(self, items: list[FrameReading]) -> None:
        """Give values that were delivered before the time that they had."""
        frames = {item.arrival.packet for item in items if item.arrival.packet is not None}
        known = {packet: self._delivered[packet] for packet in frames if packet in self._delivered}
        if unknown := frames - known.keys():
            known |= await until_written(
                lambda: delivered(self.db[EVENTS], unknown),
                on_retry=self._on_retry,
            )
        for item in items:
            arrival = item.arrival
            frame = None if arrival.packet is None else known.get(arrival.packet)
            if frame is None or (frame.topic, frame.payload) != (arrival.topic, arrival.payload):
                continue
            if frame.time is not None:
                _again(item, frame.time)

    async def _read(self, items: list[FrameReading]) -> None:
        """Learn what is stored of slots that others may have filled."""
        unsure: dict[str, dict[SlotKey, datetime]] = {}
        for item in items:
            arrival, key = item.arrival, _key(item)
            if key not in self._slots and (self._shared or arrival.dup or key[2] <= self._since):
                assert arrival.gather is not None
                unsure.setdefault(key[0], {})[key] = key[2] + timedelta(seconds=arrival.gather) + MAX_AHEAD
        for name, slots in unsure.items():
            spans = [(key[1], key[2], end) for key, end in slots.items()]
            collection = self.db[self.collections[name]]
            stored = await until_written(
                lambda collection=collection, spans=spans: read_slots(collection, spans),  # type: ignore[misc]
                on_retry=self._on_retry,
            )
            for key in slots:
                self._slots.tell(key, stored.get((key[1], key[2]), ()))

    def _remember(self, packet: int, frame: Delivered) -> None:
        self._delivered[packet] = frame
        self._delivered.move_to_end(packet)
        if len(self._delivered) > MAX_DELIVERIES:
            self._delivered.popitem(last=False)


def is_gathered(item: FrameReading) -> bool:
    """Whether a reading is a value that came alone and without a stamp, and has no time yet."""
    return item.arrival.gather is not None and item.stamp is None and item.time is None and item.device_id is not None


def settled_times(readings: Iterable[FrameReading]) -> dict[Arrival, list[datetime]]:
    """The times that gathered values were given, by frame, in the order of its readings."""
    times: dict[Arrival, list[datetime]] = {}
    for item in readings:
        if item.arrival.gather is not None and item.stamp is None and item.time is not None:
            times.setdefault(item.arrival, []).append(item.time)
    return times


def _key(item: FrameReading) -> SlotKey:
    arrival = item.arrival
    assert arrival.gather is not None and item.device_id is not None
    return arrival.type_name or "", item.device_id, slot_begin(arrival.received_at, arrival.gather)


def _again(item: FrameReading, time: datetime) -> None:
    item.time, item.undated = time, True
    item.arrival.duplicate = REDELIVERED


def _keep_packet(arrival: Arrival) -> None:
    """Have its event keep the packet id, by which it is known when it is delivered again."""
    if arrival.packet is not None and arrival.raw is None:
        arrival.raw = {**raw_document(arrival.payload, len(arrival.payload)), "packet": arrival.packet}
