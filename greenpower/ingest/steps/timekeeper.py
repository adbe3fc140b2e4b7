"""Settling the timestamps of a batch: the clock rule with what is known of each device's clock.

What belongs here: reading and writing clock knowledge, stuck clocks, the usual lag. What does not: the rule itself
(`clock`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from statistics import median

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import FrameReading
from greenpower.ingest.steps.clock import ClockRule, arrival_time
from greenpower.mongo.client import Document
from greenpower.mongo.devices import clocks
from greenpower.mongo.devices.settings import KnownDevices
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.store import Number

# A meter repeats a frame two or three times and may differ in a last digit; more than this at one stamp is no accident.
MAX_ODD_CONFLICTS = 3
LAGS_KEPT = 15
MAX_DEVICES = 200_000
MILLISECOND = timedelta(milliseconds=1)
# How near to arrival an earlier offset must bring a stamp: near enough for what is delivered again after the clock has
# stepped on, too near for a clock that fell back to where it had once been.
REDELIVERY_WINDOW = timedelta(days=1)
# Frames of one device that come together are moved apart by up to this much.
MAX_MOVED_APART = timedelta(seconds=1)

Key = tuple[str, str]  # type name, device id
Wrong = tuple[FrameReading, str, datetime]


class _Last:
    """The newest stamp of one device and type, what was seen at it, and how often it came with other values."""

    __slots__ = ("conflicts", "time", "values")

    def __init__(self, time: datetime, values: dict[str, Number]) -> None:
        self.begin(time, values)

    def begin(self, time: datetime, values: dict[str, Number]) -> None:
        """A newer stamp came."""
        self.time = time
        self.values = values
        self.conflicts = 0


class Timekeeper:
    """Settles timestamps. One per ingest process."""

    def __init__(
        self,
        collection: AsyncCollection[Document],
        rule: ClockRule,
        on_retry: Callable[[Exception], None] | None = None,
        devices: KnownDevices | None = None,
    ) -> None:
        self.collection = collection
        self.devices = devices
        self.rule = rule
        self._on_retry = on_retry
        self._last: dict[Key, _Last] = {}
        self._arrived: dict[Key, datetime] = {}
        self._stuck: dict[Key, datetime] = {}
        self._stuck_changed: dict[Key, datetime | None] = {}
        self._lags: dict[str, deque[float]] = {}

    async def load(self) -> None:
        """Learn which clocks are stuck, and which devices have a zone of their own."""
        if self.devices is not None:
            await until_written(self.devices.refresh, on_retry=self._on_retry)
        self._stuck = await until_written(lambda: clocks.stuck_stamps(self.collection), on_retry=self._on_retry)

    async def settle(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Give each reading its time, once, waiting for MongoDB as long as it takes."""
        wrong: list[Wrong] = []
        zone_of = self.devices.zone if self.devices is not None else _no_zone
        for item in readings:
            arrival = item.arrival.received_at
            device = item.device_id
            if device is None or item.time is not None:
                continue
            if item.stamp is None:
                self._set_arrival(item, device)
                continue
            time = self.rule.measured(item.stamp, arrival, zone_of(device))
            if self._is_stuck(item, device, time):
                item.clock = "stuck"
                self._set_arrival(item, device)
            elif self.rule.plausible(time, arrival):
                item.time = time
                item.doubtful = self.rule.at_the_edge(time, arrival)
                self._note_lag(device, (arrival - time).total_seconds())
            else:
                wrong.append((item, device, time))
        if wrong:
            await until_written(lambda: self._move(wrong), on_retry=self._on_retry)
        if self._stuck_changed:
            await until_written(self._save_stuck, on_retry=self._on_retry)
        return readings

    def _set_arrival(self, item: FrameReading, device: str) -> None:
        """The time of arrival, a millisecond apart from that of the frame before: both are readings."""
        key = (item.arrival.type_name or "", device)
        time = arrival_time(item.arrival.received_at)
        last = self._arrived.get(key)
        if last is not None and timedelta(0) <= last - time < MAX_MOVED_APART:
            time = last + MILLISECOND
        elif last is None and len(self._arrived) >= MAX_DEVICES:
            del self._arrived[next(iter(self._arrived))]
        self._arrived[key] = item.time = time
        item.undated = True

    def _is_stuck(self, item: FrameReading, device: str, time: datetime) -> bool:
        """Whether this device's clock has stopped at this time."""
        key = (item.arrival.type_name or "", device)
        last = self._last.get(key)
        if last is None or last.time != time:
            if last is None:
                if len(self._last) >= MAX_DEVICES:
                    del self._last[next(iter(self._last))]
                self._last[key] = _Last(time, item.payload)
            else:
                last.begin(time, item.payload)
            if key in self._stuck and self._stuck[key] != time:
                del self._stuck[key]
                self._stuck_changed[key] = None
        else:
            known = last.values
            if any(known.get(name, value) != value for name, value in item.payload.items()):
                last.conflicts += 1
            last.values = {**item.payload, **known}
            if last.conflicts > MAX_ODD_CONFLICTS and key not in self._stuck:
                self._stuck[key] = self._stuck_changed[key] = time
        return bool(self._stuck) and self._stuck.get(key) == time

    async def _save_stuck(self) -> None:
        for (type_name, device), stamp in list(self._stuck_changed.items()):
            await clocks.set_stuck(self.collection, type_name, device, stamp)
            self._stuck_changed.pop((type_name, device), None)

    async def _move(self, wrong: list[Wrong]) -> None:
        """Move stamps of wrong clocks by their device's offset, agreeing on one where there is none that fits."""
        known = await clocks.offsets(self.collection, {device for _, device, _ in wrong})
        for item, device, time in wrong:
            arrival = item.arrival.received_at
            had = known.get(device, ())
            offset = self._fitting(had, time, arrival)
            if offset is None:
                wanted = arrival_time(arrival) - time
                offset = await clocks.agree_offset(self.collection, device, wanted, had[0] if had else None)
                known[device] = (offset, *had)
            moved = time + offset
            item.clock, item.offset, item.doubtful = "offset", offset, True
            if self.rule.plausible(moved, arrival):
                item.time = moved
            else:  # another process agreed meanwhile on one that fits only its own frames
                self._set_arrival(item, device)

    def _fitting(self, offsets: tuple[timedelta, ...], time: datetime, arrival: datetime) -> timedelta | None:
        """The offset to move this time by: the one in force, else an earlier one, of a frame that comes again."""
        for number, offset in enumerate(offsets):
            moved = time + offset
            if self.rule.plausible(moved, arrival) and (number == 0 or arrival - moved < REDELIVERY_WINDOW):
                return offset
        return None

    def _note_lag(self, device: str, lag: float) -> None:
        lags = self._lags.get(device)
        if lags is None:
            if len(self._lags) >= MAX_DEVICES:
                return
            lags = self._lags[device] = deque(maxlen=LAGS_KEPT)
        lags.append(lag)

    async def refresh(self) -> None:
        """Learn of changed zones. Raises PyMongoError."""
        if self.devices is not None:
            await self.devices.refresh()

    async def save(self) -> None:
        """Keep the usual lags seen since the last call. Raises PyMongoError."""
        lags, self._lags = self._lags, {}
        await clocks.save_lags(self.collection, {device: median(seen) for device, seen in lags.items()})


def _no_zone(_device: str) -> tzinfo | None:
    return None
