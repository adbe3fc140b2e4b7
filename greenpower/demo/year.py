"""What the meters of the demonstration site show over a year: registers, and what goes wrong with them. Pure.

The same end gives the same year. All energy adds up: what the grid, the solar plant and the generator bring, less what
is fed in, is what the consumers use and what no sub-meter measures, but for the faults, which are known.

What does not belong here: storing it (`write`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from zoneinfo import ZoneInfo

from greenpower.demo.load import sun
from greenpower.demo.site import (
    CONSUMERS,
    GENERATOR,
    GENERATOR_POWER,
    GRID,
    IMBALANCE_FACTOR,
    IMBALANCED,
    SILENT,
    SOLAR,
    SOLAR_PEAK,
    SPIKED,
    SWAPPED,
    SWAPPED_TO,
    UNMETERED,
)

QUARTER = timedelta(minutes=15)
QUARTERS_PER_HOUR = 4
YEAR = timedelta(days=366)
#: how long before the end things happen, and how long they last, as parts of the year
SWAP, IMBALANCE, SILENCE, SPIKE = 3, 6, 12, 24
IMBALANCE_LENGTH, SILENCE_LENGTH = 24, 48
#: sub-meters are read each half hour, but for this last part of the year
FINE = 12
SPIKE_KWH = 40_000.0
#: the generator is tested on each first day of a month
TEST_HOURS = range(10, 12)


@dataclass(frozen=True, slots=True)
class MeterReading:
    """What a meter shows at a time, in kWh. exported: of the grid meter."""

    device_id: str
    time: datetime
    total: float
    exported: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DemoSpan:
    """When the year is and when things happen, in UTC, on full hours."""

    begin: datetime
    end: datetime

    @classmethod
    def until(cls, time: datetime, length: timedelta = YEAR) -> DemoSpan:
        """The year that ends with the last full hour before a time. length: a multiple of 48 hours."""
        end = time.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
        return cls(begin=end - length, end=end)

    def before_end(self, part: int) -> datetime:
        """The time from which on a part of the year is left: 12 for a twelfth."""
        return self.end - (self.end - self.begin) / part

    @property
    def swap(self) -> datetime:
        """When the meter is exchanged."""
        return self.before_end(SWAP)

    @property
    def spike(self) -> datetime:
        """When one reading is far too high."""
        return self.before_end(SPIKE)

    @property
    def silence(self) -> tuple[datetime, datetime]:
        """From when until when the silent meter sends nothing."""
        begin = self.before_end(SILENCE)
        return begin, begin + (self.end - self.begin) / SILENCE_LENGTH

    @property
    def imbalance(self) -> tuple[datetime, datetime]:
        """From when until when the wrong meter counts too much."""
        begin = self.before_end(IMBALANCE)
        return begin, begin + (self.end - self.begin) / IMBALANCE_LENGTH


def readings(span: DemoSpan, zone: ZoneInfo) -> Iterator[MeterReading]:
    """What the meters show, in order of time."""
    random = Random(span.end.toordinal())
    registers = {consumer.key: float(random.randrange(1_000, 90_000)) for consumer in CONSUMERS}
    swapped, imported, exported = 0.4, 81_200.0, 9_300.0
    solar, generator = 132_000.0, 4_100.0
    clouds = 0.8
    imbalance_begin, imbalance_end = span.imbalance
    fine = span.before_end(FINE)
    time = span.begin
    while time < span.end:
        time += QUARTER
        local = (time - QUARTER / 2).astimezone(zone)
        used = 0.0
        for consumer in CONSUMERS:
            energy = consumer.peak * consumer.load.at(local) * random.uniform(0.8, 1.1) / QUARTERS_PER_HOUR
            used += energy
            if consumer.key == SWAPPED and time > span.swap:
                swapped += energy
            elif consumer.key == IMBALANCED and imbalance_begin < time <= imbalance_end:
                registers[consumer.key] += energy * IMBALANCE_FACTOR
            else:
                registers[consumer.key] += energy
        clouds = min(1.0, max(0.15, clouds + random.uniform(-0.08, 0.08)))
        made = SOLAR_PEAK * sun(local) * clouds / QUARTERS_PER_HOUR
        tested = GENERATOR_POWER / QUARTERS_PER_HOUR if local.day == 1 and local.hour in TEST_HOURS else 0.0
        solar += made
        generator += tested
        needed = used / (1 - UNMETERED) - made - tested
        imported += max(0.0, needed)
        exported += max(0.0, -needed)
        yield MeterReading(GRID, time, imported, exported)
        yield MeterReading(SOLAR, time, solar)
        yield MeterReading(GENERATOR, time, generator)
        if time > fine or not time.minute % 30:
            yield from _sub_meters(span, time, registers, swapped)


def _sub_meters(span: DemoSpan, time: datetime, registers: dict[str, float], swapped: float) -> Iterator[MeterReading]:
    silence_begin, silence_end = span.silence
    for consumer in CONSUMERS:
        total = registers[consumer.key]
        if consumer.key == SWAPPED and time >= span.swap:
            yield MeterReading(SWAPPED_TO, time, swapped)
            if time > span.swap:
                continue
        if consumer.key == SILENT and silence_begin <= time < silence_end:
            continue
        if consumer.key == SPIKED and time == span.spike:
            total += SPIKE_KWH
        yield MeterReading(consumer.device_id, time, total)
