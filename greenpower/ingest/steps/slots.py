"""Which reading a value belongs to that came alone and without a stamp. Pure: no clock, no database.

Values of one device that arrive within a slot are one reading, whose time is the begin of the slot. A field that comes
again in a slot with another value opens a reading at the millisecond of its arrival, and after the one before. So the
time of a value depends on its arrival and on the values before it; a burst may reach into the slots that follow.

What does not belong here: what other processes stored in a slot (`gathering` tells), writing (`storing`).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from greenpower.ingest.steps.clock import arrival_time
from greenpower.mongo.readings.store import Number

MAX_DEVICES = 50_000
# What comes later than that is told anew what is stored.
SLOT_MEMORY = timedelta(minutes=2)
MILLISECOND = timedelta(milliseconds=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# The values of a burst get times up to this long after they arrived. A time further ahead was given before our clock
# was set back.
MAX_AHEAD = timedelta(seconds=10)

SlotKey = tuple[str, str, datetime]  # type name, device id, begin
Placed = tuple[datetime, Number]


def slot_begin(time: datetime, gather: float) -> datetime:
    """The begin of the slot that a time is in. gather: seconds."""
    return time - (time - EPOCH) % timedelta(seconds=gather)


@dataclass(slots=True)
class DeviceSlot:
    """The newest slot of a device, and the newest value of each field with its time."""

    begin: datetime
    newest: dict[str, Placed] = field(default_factory=dict)


class Slots:
    """The newest slot of each device. Those of long ago are forgotten."""

    def __init__(self) -> None:
        self._devices: OrderedDict[tuple[str, str], DeviceSlot] = OrderedDict()

    def __contains__(self, key: SlotKey) -> bool:
        """Whether values of this slot or a later one were placed or told."""
        slot = self._devices.get(key[:2])
        return slot is not None and slot.begin >= key[2]

    def __len__(self) -> int:
        return len(self._devices)

    def tell(self, key: SlotKey, stored: Iterable[tuple[datetime, Mapping[str, Number]]]) -> None:
        """What is stored of a slot: (time, payload)."""
        newest = self._slot(key).newest
        for time, payload in stored:
            for name, value in payload.items():
                if name not in newest or time >= newest[name][0]:
                    newest[name] = time, value

    def place(self, key: SlotKey, arrival: datetime, payload: Mapping[str, Number]) -> datetime:
        """The time of the reading that the values of a frame belong to."""
        begin, own = key[2], arrival_time(arrival)
        newest = self._slot(key).newest
        here = {
            name: newest[name] for name in payload if name in newest and begin <= newest[name][0] <= own + MAX_AHEAD
        }
        times = {time for time, _ in here.values()}
        if len(here) == len(payload) and len(times) == 1 and all(here[name][1] == payload[name] for name in payload):
            return times.pop()
        time = max(own, *(time + MILLISECOND for time in times)) if times else begin
        for name, value in payload.items():
            newest[name] = time, value
        return time

    def _slot(self, key: SlotKey) -> DeviceSlot:
        device = key[:2]
        slot = self._devices.get(device)
        if slot is None:
            slot = self._devices[device] = DeviceSlot(key[2])
        elif key[2] > slot.begin:
            slot.begin = key[2]
            self._devices.move_to_end(device)
        while len(self._devices) > MAX_DEVICES or next(iter(self._devices.values())).begin < key[2] - SLOT_MEMORY:
            self._devices.popitem(last=False)
        return slot
