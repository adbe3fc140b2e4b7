"""Settling the timestamps of a batch: the clock rule with what is known of each device's clock.

What belongs here: offsets, the usual lag, the order in which a device's frames are settled. What does not: the rule
itself (`clock`), stuck clocks (`stuck_clocks`), which time a stamp of a repeated hour means (`repeated_hours`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import datetime, timedelta, tzinfo
from statistics import median

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.ingest.arrival import FrameReading
from greenpower.ingest.steps.clock import ClockRule, arrival_time, offset_fits
from greenpower.ingest.steps.repeated_hours import RepeatedHours
from greenpower.ingest.steps.repeated_stamp import Ask, is_sure, make_ask, make_plan
from greenpower.ingest.steps.stuck_clocks import StuckClocks
from greenpower.mongo.client import Document
from greenpower.mongo.devices import clocks
from greenpower.mongo.devices.registered import KnownDevices
from greenpower.mongo.failure import until_written
from greenpower.mongo.readings.clock_mark import ARRIVAL

LAGS_KEPT = 15
MAX_DEVICES = 200_000
MILLISECOND = timedelta(milliseconds=1)
# Frames of one device that come together are moved apart by up to this much.
MAX_MOVED_APART = timedelta(seconds=1)

Key = tuple[str, str]  # type name, device id
Wrong = tuple[FrameReading, str, datetime]


class Timekeeper:
    """Settles timestamps. One per ingest process."""

    def __init__(
        self,
        collection: AsyncCollection[Document],
        rule: ClockRule,
        on_retry: Callable[[Exception], None] | None = None,
        devices: KnownDevices | None = None,
        repeated: RepeatedHours | None = None,
    ) -> None:
        self.collection = collection
        self.devices = devices
        self.rule = rule
        self._on_retry = on_retry
        self.stuck = StuckClocks(collection)
        self.repeated = repeated or RepeatedHours(
            collection.database, rule.tolerance, on_retry, sent_before=self.stuck.newest
        )
        self._arrived: dict[Key, datetime] = {}
        self._lags: dict[str, deque[float]] = {}

    async def load(self) -> None:
        """Learn which clocks are stuck, and which devices have a zone of their own."""
        if self.devices is not None:
            await until_written(self.devices.refresh, on_retry=self._on_retry)
        await until_written(self.stuck.load, on_retry=self._on_retry)

    async def settle(self, readings: list[FrameReading]) -> list[FrameReading]:
        """Give each reading its time, once, waiting for MongoDB as long as it takes."""
        wrong: list[Wrong] = []
        repeated: list[FrameReading] = []  # and all that their devices sent after them
        behind: set[str] = set()
        zone_of = self.devices.zone if self.devices is not None else _no_zone
        for item in readings:
            device = item.device_id
            if device is None or item.time is not None:
                continue
            if item.stamp is None:
                self._set_arrival(item, device)
                continue
            time, second = self.rule.candidates(item.stamp, zone_of(device))
            if second is not None or device in behind:
                repeated.append(item)
                behind.add(device)
            elif not self._take(item, device, time):
                wrong.append((item, device, time))
        if repeated:
            wrong += await self._settle_repeated(repeated, zone_of)
        if wrong:
            await until_written(lambda: self._move(wrong), on_retry=self._on_retry)
        if self.stuck.changed:
            await until_written(self.stuck.save, on_retry=self._on_retry)
        return readings

    async def stored(self) -> None:
        """The readings and events of the batch at hand are stored."""
        await self.repeated.end()

    def _take(self, item: FrameReading, device: str, time: datetime, offset: timedelta | None = None) -> bool:
        """Take a time that a stamp means, by itself or with an offset; False where it is that of a wrong clock."""
        arrival = item.arrival.received_at
        if self.stuck.is_stuck((item.arrival.type_name or "", device), time, item.payload):
            item.clock = "stuck"
            self._set_arrival(item, device)
        elif not self.rule.plausible(time, arrival):
            return False
        elif offset is not None:
            item.time, item.clock, item.offset, item.doubtful = time, "offset", offset, True
        else:
            item.time = time
            item.doubtful = self.rule.at_the_edge(time, arrival)
            self._note_lag(device, (arrival - time).total_seconds())
        return True

    async def _settle_repeated(self, items: list[FrameReading], zone_of: Callable[[str], tzinfo | None]) -> list[Wrong]:
        """Settle stamps of repeated hours, and what came after them, in order. Returns those of wrong clocks."""
        wrong: list[Wrong] = []
        asks: dict[FrameReading, Ask] = {}
        for item in items:
            if (ask := make_ask(item, self.rule, zone_of(item.device_id or ""))) is not None:
                asks[item] = ask
        unsure = {ask.device for ask in asks.values() if not is_sure(ask, self.rule)}
        offsets: dict[str, tuple[timedelta, ...]] = {}
        if unsure:
            offsets = await until_written(lambda: clocks.offsets(self.collection, unsure), on_retry=self._on_retry)
        plans = {item: make_plan(ask, self.rule, offsets.get(ask.device, ())) for item, ask in asks.items()}
        late = any(plan.time is not None and not plan.ask.is_prompt(plan.time, self.rule) for plan in plans.values())
        await self.repeated.begin([plan.ask for plan in plans.values() if plan.time is None], late=late)
        for item in items:
            plan, device = plans.get(item), item.device_id
            assert device is not None and item.stamp is not None
            if plan is None:
                time, _ = self.rule.candidates(item.stamp, zone_of(device))
            else:
                stands = self.stuck.stands_at(plan.ask.key)
                known = stands if stands in (plan.ask.first, plan.ask.second) else plan.time
                time = known or self.repeated.choose(plan.ask)
            offset = None if plan is None else plan.offset
            if not self._take(item, device, time, offset):
                wrong.append((item, device, time))
            elif plan is not None and item.time == time:
                self.repeated.note(plan.ask, time)
        await self.repeated.move()
        return wrong

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
                item.clock, item.offset = ARRIVAL, None
                self._set_arrival(item, device)

    def _fitting(self, offsets: tuple[timedelta, ...], time: datetime, arrival: datetime) -> timedelta | None:
        """The offset to move this time by: the one in force, else an earlier one, of a frame that comes again."""
        for number, offset in enumerate(offsets):
            if offset_fits(self.rule, time + offset, arrival, number):
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
