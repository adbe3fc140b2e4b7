"""Stamps of a repeated hour: the two times of one, and which of them can be, by arrival and the clock's offset.

Pure. What does not belong here: choosing where both can be (`repeated_hour`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from functools import lru_cache
from typing import NamedTuple

from greenpower.datatype import DataType
from greenpower.ingest.arrival import FrameReading
from greenpower.ingest.steps.clock import ClockRule, nearer, offset_fits
from greenpower.measure.local_time import clock_change

Key = tuple[str, str]  # type name, device id
WindowKey = tuple[str, str, datetime]  # type name, device id, change of clocks


class Repeat(NamedTuple):
    """A repeated hour: it is shown first from `begin` to `change`, and again from there to `end`. UTC."""

    begin: datetime
    change: datetime
    end: datetime

    def moved(self, offset: timedelta) -> Repeat:
        """The same, by the clock of a device whose stamps are moved by `offset`."""
        return Repeat(self.begin + offset, self.change + offset, self.end + offset)


@lru_cache(maxsize=4096)
def repeat_of(first: datetime, second: datetime, zone: tzinfo) -> Repeat:
    """The repeated hour that two times of one stamp lie in."""
    change = clock_change(first, second, zone)
    assert change is not None  # a stamp has two times only where clocks are put back between them
    return Repeat(change - (second - first), change, change + (second - first))


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """A reading whose stamp means one of two times of a repeated hour."""

    item: FrameReading
    device: str
    datatype: DataType
    first: datetime
    second: datetime
    repeat: Repeat

    @property
    def key(self) -> Key:
        return self.datatype.name, self.device

    def is_prompt(self, time: datetime, rule: ClockRule) -> bool:
        """Whether it came at once if this is its time."""
        return abs(self.item.arrival.received_at - time) <= rule.tolerance

    def moved(self, offset: timedelta) -> Ask:
        """The same for a clock that is moved by `offset`."""
        first, second = self.first + offset, self.second + offset
        return replace(self, first=first, second=second, repeat=self.repeat.moved(offset))

    @property
    def window(self) -> WindowKey:
        return self.datatype.name, self.device, self.repeat.change


class StampPlan(NamedTuple):
    """What a stamp may mean. ask: its two times, with the offset of a wrong clock. time: the only one that can be, or
    the nearer one of two that cannot; None: both can be. offset: what was added to both."""

    ask: Ask
    time: datetime | None
    offset: timedelta | None = None


def make_ask(item: FrameReading, rule: ClockRule, own_zone: tzinfo | None) -> Ask | None:
    """The two times of a reading's stamp; None where it has one."""
    zone, datatype = own_zone or rule.zone, item.arrival.datatype
    assert item.stamp is not None and item.device_id is not None and datatype is not None
    first, second = rule.candidates(item.stamp, zone)
    if second is None:
        return None
    repeat = repeat_of(first, second, zone)
    return Ask(item=item, device=item.device_id, datatype=datatype, first=first, second=second, repeat=repeat)


def is_sure(ask: Ask, rule: ClockRule) -> bool:
    """Whether an offset of the device's clock would not matter: the nearer time can be."""
    arrival = ask.item.arrival.received_at
    return rule.plausible(nearer(ask.first, ask.second, arrival), arrival)


def make_plan(ask: Ask, rule: ClockRule, offsets: tuple[timedelta, ...]) -> StampPlan:
    """What a stamp may mean. offsets: of the device's clock, the one in force first; not needed where it is sure."""
    arrival = ask.item.arrival.received_at
    times = [time for time in (ask.first, ask.second) if rule.plausible(time, arrival)]
    if len(times) == 2:
        return StampPlan(ask, None)
    near = nearer(ask.first, ask.second, arrival)
    if times:
        # The other one is ahead of arrival: a clock that is known to be so, or the first pass, sent late.
        if offsets and near not in times and abs(arrival - (near + offsets[0])) <= rule.tolerance:
            return StampPlan(ask.moved(offsets[0]), near + offsets[0], offsets[0])
        return StampPlan(ask, times[0])
    for number, offset in enumerate(offsets):
        moved = (ask.first + offset, ask.second + offset)
        times = [time for time in moved if offset_fits(rule, time, arrival, number)]
        if times:
            return StampPlan(ask.moved(offset), times[0] if len(times) == 1 else None, offset)
    return StampPlan(ask, near)
