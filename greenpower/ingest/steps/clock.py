"""What time a device's stamp means. Pure: what is known of a device's clock comes in, a verdict goes out.

A stamp between `backlog` before arrival and `tolerance` after it is taken as it is. Another one is a wrong clock: it is
moved by the device's offset, so that the spacing of its readings stays. No stamp, or a stuck one: the time of arrival.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from functools import lru_cache

from greenpower.config import Settings

# How near to arrival an earlier offset must bring a stamp: near enough for what is delivered again after the clock has
# stepped on, too near for a clock that fell back to where it had once been.
REDELIVERY_WINDOW = timedelta(days=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockRule:
    """How far a stamp may lie from its arrival, and the zone of stamps that name none."""

    backlog: timedelta
    tolerance: timedelta
    zone: tzinfo

    @classmethod
    def of(cls, settings: Settings) -> ClockRule:
        """The rule that the settings give."""
        return cls(
            backlog=timedelta(days=settings.backlog_max_days),
            tolerance=timedelta(seconds=settings.clock_tolerance_seconds),
            zone=settings.device_zone,
        )

    def candidates(self, stamp: datetime, zone: tzinfo | None = None) -> tuple[datetime, datetime | None]:
        """A stamp in UTC, and its second time where it is of a repeated hour. A naive one is in `zone`."""
        if stamp.tzinfo is not None:
            return _milliseconds(stamp.astimezone(UTC)), None
        return _local(stamp, zone or self.zone)

    def measured(self, stamp: datetime, arrival: datetime, zone: tzinfo | None = None) -> datetime:
        """A stamp in UTC, by itself: of the two times that a repeated hour gives, the one nearer to arrival."""
        first, second = self.candidates(stamp, zone)
        return first if second is None else nearer(first, second, arrival)

    def plausible(self, time: datetime, arrival: datetime) -> bool:
        """Whether a time in UTC can be the measurement of what arrived then."""
        return -self.tolerance <= arrival - time <= self.backlog

    def at_the_edge(self, time: datetime, arrival: datetime) -> bool:
        """Whether a plausible time may not have been so when the frame came first, up to half the tolerance ago."""
        return time > arrival + self.tolerance / 2


@lru_cache(maxsize=4096)  # many meters have the same stamp, and finding its zone's offset is the costly part
def _local(stamp: datetime, zone: tzinfo) -> tuple[datetime, datetime | None]:
    """A naive stamp of a zone in UTC; also its second time where clocks are put back, to the millisecond."""
    local = stamp.replace(tzinfo=zone)
    first = local.astimezone(UTC)
    second = local.replace(fold=1).astimezone(UTC)
    # Where clocks are put forward the two differ as well, but for a time that no clock shows: keep the first, which is
    # what a clock that was not put forward means.
    return _milliseconds(first), _milliseconds(second) if second > first else None


def nearer(first: datetime, second: datetime, arrival: datetime) -> datetime:
    """The one of two times that is nearer to arrival."""
    return second if abs(second - arrival) < abs(first - arrival) else first


def _milliseconds(time: datetime) -> datetime:
    """To the precision of a BSON date, so that what is compared is what is stored."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def offset_fits(rule: ClockRule, moved: datetime, arrival: datetime, number: int) -> bool:
    """Whether an offset brings a stamp to where it can be. number: 0 for the one in force, more for earlier ones."""
    return rule.plausible(moved, arrival) and (number == 0 or arrival - moved < REDELIVERY_WINDOW)


def arrival_time(arrival: datetime) -> datetime:
    """The timestamp of a reading whose device has no usable clock."""
    return _milliseconds(arrival)
