"""Series of a register to which everything happens that happens to meters: from a list of events to samples.

A list of events is data: Hypothesis can draw and shrink it, and a random generator can make one.
"""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta, tzinfo
from decimal import Decimal
from typing import Any

from hypothesis import strategies as st

from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import count
from tests.measure.plain_series import Number, PlainMeter, PlainSwap, Sample

#: Each with how often it comes among ten or so; what it does is in `_Register`.
EVENTS = (
    *("rise",) * 6,
    "flat",
    "zeros",
    "dip",
    "spike",
    "small_fall",
    "reset",
    "rollover",
    "level",
    "unit",
    "silence",
    "burst",
    "ticks",
    "swap",
    "interval",
    "rate",
)
#: What happens to a register that counts both ways, and to one that begins again each day.
NET_EVENTS = (
    *("rise",) * 4,
    *("turn",) * 3,
    "flat",
    "zeros",
    "dip",
    "spike",
    "level",
    "unit",
    "silence",
    "burst",
    "swap",
    "interval",
    "rate",
)
DAILY_EVENTS = (
    *("on",) * 6,
    "rise",
    "flat",
    "idle",
    *("bounce",) * 2,
    "zeros",
    "dip",
    "spike",
    "small_fall",
    "reset",
    "silence",
    "swap",
    *("interval",) * 2,
    "rate",
)
MODULUS = 1_000
#: Seconds between samples.
INTERVALS = (900, 60, 300, 3600, 5, 1800, 7200)
#: Of a step, in thousandths of the unit.
STEPS = (100, 250, 25, 1_000, 3, 2_500, 40_000, 400)


@dataclass(frozen=True, slots=True)
class Event:
    """What happens. count: to how many samples; size: how much, 0 to 999, as each event understands it."""

    name: str
    count: int
    size: int


@dataclass(slots=True)
class Series:
    """A register's samples, those of them that came without a stamp, and the meters that were exchanged with a word."""

    samples: list[Sample] = field(default_factory=list)
    arrivals: set[datetime] = field(default_factory=set)
    swaps: list[PlainSwap] = field(default_factory=list)

    def counted(self, meter: PlainMeter) -> PlainCount:
        """What the plain recomputation makes of it."""
        return count(self.samples, replace(meter, swaps=tuple(self.swaps)), self.arrivals)


class _Register:
    """A register over time. All in whole thousandths, so that shown values are decimals as meters send them."""

    def __init__(self, start: datetime, scale: int) -> None:
        self.series = Series()
        self.now = start
        self.milli = 100_000
        self.every = 900
        self.step = 250
        self.unit = 1
        self.scale = scale

    def show(self, milli: int | None = None) -> None:
        """The next sample."""
        self.now += timedelta(seconds=self.every)
        shown = Decimal((self.milli if milli is None else milli) * self.unit * self.scale) / 1000
        value: Number = int(shown) if self.scale > 1 else float(shown)
        self.series.samples.append((self.now, value))

    def rise(self, count: int, size: int) -> None:
        for number in range(count):
            self.milli += self.step + (size * number) % 7
            self.show()

    def flat(self, count: int, size: int) -> None:
        for _ in range(count):
            self.show()

    def zeros(self, count: int, size: int) -> None:
        for _ in range(count):
            self.milli += self.step
            self.show(0)

    def dip(self, count: int, size: int) -> None:
        for _ in range(count):
            self.milli += self.step
            self.show(self.milli * size // 1000)

    def spike(self, count: int, size: int) -> None:
        for _ in range(count):
            self.milli += self.step
            self.show(self.milli + (size + 1) ** 2 * 1000)

    def small_fall(self, count: int, size: int) -> None:
        falls = count if size % 2 else 1
        for number in range(count + 3):
            self.milli -= min(self.milli // 11, size + 1) if number < falls else 0
            self.show()

    def reset(self, count: int, size: int) -> None:
        self.milli = size % 5 * self.step
        self.rise(count, size)

    def rollover(self, count: int, size: int) -> None:
        self.milli = MODULUS * 1000 - 5 * self.step - 20
        self.rise(4, size)
        self.milli = (self.milli + self.step + 20) % (MODULUS * 1000)
        self.show()
        self.rise(count, size)

    def level(self, count: int, size: int) -> None:
        self.milli = self.milli + (size + 1) * 50_000 if size % 3 else self.milli * size // 2000
        self.rise(count, size)

    def unit_(self, count: int, size: int) -> None:
        self.unit = 1 if self.unit == 1000 else 1000
        self.rise(count, size)

    def silence(self, count: int, size: int) -> None:
        self.now += timedelta(seconds=self.every * (size + 1) // 10 * count)
        self.milli += self.step * size * count // 10
        self.show()

    def burst(self, count: int, size: int) -> None:
        self.now += timedelta(seconds=self.every)
        for _ in range(count + 1):
            self.milli += self.step * (1 + size % 30)
            self.now += timedelta(milliseconds=1 + size // 2) - timedelta(seconds=self.every)
            self.show()
            self.series.arrivals.add(self.now)

    def ticks(self, count: int, size: int) -> None:
        every, self.every = self.every, 5
        for _ in range(3 * count):
            self.milli += max(1, self.step // 10)
            self.show(self.milli // 1000 * 1000)
        self.every = every

    def swap(self, count: int, size: int) -> None:
        last, first = self.milli + self.step, size * 1000
        self.series.swaps.append(
            PlainSwap(
                at=self.now + timedelta(seconds=self.every),
                last=float(Decimal(last * self.unit * self.scale) / 1000),
                first=float(Decimal(first * self.unit * self.scale) / 1000),
            )
        )
        self.milli = first
        self.rise(count, size)

    def interval(self, count: int, size: int) -> None:
        self.every = INTERVALS[size % len(INTERVALS)]
        self.rise(count, size)

    def rate(self, count: int, size: int) -> None:
        self.step = STEPS[size % len(STEPS)]
        self.rise(count, size)

    def turn(self, count: int, size: int) -> None:
        self.step = -self.step
        self.rise(count, size)

    def take(self, event: Event) -> None:
        getattr(self, "unit_" if event.name == "unit" else event.name)(event.count, event.size)


class _DailyRegister(_Register):
    """A register that begins again each local day. zone: of its days. late: what its clock is late by."""

    def __init__(self, start: datetime, zone: tzinfo, late: timedelta) -> None:
        super().__init__(start, 1)
        self.zone, self.late = zone, late
        self.milli = 6_000
        self.bounces = False
        self.day = self._day()

    def _day(self) -> date:
        return (self.now - self.late).astimezone(self.zone).date()

    def show(self, milli: int | None = None) -> None:
        level = self.milli
        before = self.now
        self.now += timedelta(seconds=self.every)
        day = self._day()
        self.now = before
        if day == self.day:
            super().show(milli)
            return
        self.day = day
        self.milli = self.step if self.step > 3 else 0
        if self.bounces:
            super().show(0)
            super().show(level)
        self.bounces = False
        super().show()

    def bounce(self, count: int, size: int) -> None:
        self.bounces = True
        self.flat(count, size)

    def idle(self, count: int, size: int) -> None:
        self.milli, self.step = 0, 0
        self.flat(10 * count, size)

    def on(self, count: int, size: int) -> None:
        """Many samples, so that days pass."""
        for _ in range(count * 12):
            self.milli += self.step
            self.show()


def play_daily(events: Iterable[Event], start: datetime, zone: tzinfo, late: timedelta) -> Series:
    """The series that events make of a daily register. late: what its clock is late by."""
    register = _DailyRegister(start, zone, late)
    for event in events:
        register.take(event)
    return register.series


def play(events: Iterable[Event], start: datetime, *, scale: int = 1) -> Series:
    """The series that events make. scale: 1000 for integer registers of Wh."""
    register = _Register(start, scale)
    for event in events:
        register.take(event)
    return register.series


def random_events(chance: random.Random, number: int, names: tuple[str, ...] = EVENTS) -> list[Event]:
    """Events by chance."""
    return [Event(chance.choice(names), chance.randrange(1, 9), chance.randrange(1000)) for _ in range(number)]


def events(names: tuple[str, ...] = EVENTS, **size: Any) -> st.SearchStrategy[list[Event]]:
    """Events for Hypothesis. size: min_size, max_size of the list."""
    one = st.builds(Event, st.sampled_from(names), st.integers(1, 8), st.integers(0, 999))
    return st.lists(one, **size)


def _sensible(meter: PlainMeter) -> bool:
    """A power says something of energy only, which has a floor."""
    return meter.power is None or meter.floor is not None


#: A meter as declared, with or without what may be known of it.
meters = st.builds(
    PlainMeter,
    rate=st.sampled_from([None, 100_000, 500]),
    floor=st.sampled_from([50, 50, None]),
    power=st.sampled_from([None, None, None, 20, 400]),
    modulus=st.sampled_from([None, None, MODULUS]),
    stale_after=st.sampled_from([1_020, 60]),
).filter(_sensible)
