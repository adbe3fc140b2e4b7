"""Which rate of a tariff holds when: stretches of time, in UTC, that each have one rate. Pure.

A day that is 23 or 25 hours long, or has an offset of 45 minutes, is nothing special: what counts at each quarter-hour
is what the clock on the wall shows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

from greenpower.energy.tariff import (
    HOLIDAY,
    MINUTES_PER_DAY,
    QUARTER_MINUTES,
    Direction,
    Rate,
    TariffVersion,
    ordered,
)

DAY = timedelta(days=1)
QUARTER = timedelta(minutes=QUARTER_MINUTES)
NO_RATES: Sequence[Rate | None] = (None,) * (MINUTES_PER_DAY // QUARTER_MINUTES)


@dataclass(frozen=True, slots=True, kw_only=True)
class RateSpan:
    """A stretch of time with one rate. begin, end: UTC. version, rate: None where no version is valid yet, or where the
    version has no rate for the direction."""

    begin: datetime
    end: datetime
    version: TariffVersion | None
    rate: Rate | None


@dataclass(slots=True)
class RateCalendar:
    """The rates of the versions of one tariff in one direction.

    All versions have one zone, so that the day on which one begins is one moment. Raises TariffError, ValueError for
    versions of several zones.
    """

    versions: Sequence[TariffVersion]
    direction: Direction
    _days: dict[date, tuple[TariffVersion | None, Sequence[Rate | None]]] = field(default_factory=dict, repr=False)
    _minutes: dict[tuple[int, int, int, int, int], Sequence[Rate | None]] = field(default_factory=dict, repr=False)
    # By the id of the rates of a day, which this object keeps.
    _rate_ends: dict[int, Sequence[int]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        self.versions = ordered(self.versions)
        if len({version.zone.key for version in self.versions}) > 1:
            raise ValueError("the versions of a tariff have one zone")

    def spans(self, begin: datetime, end: datetime) -> Iterator[RateSpan]:
        """The stretches between two times, in order, without a gap. begin, end: aware, on quarter-hours of UTC."""
        current: RateSpan | None = None
        for at, until, version, rate in self._pieces(begin.astimezone(UTC), end.astimezone(UTC)):
            if current is not None and current.version is version and current.rate is rate:
                current = RateSpan(begin=current.begin, end=until, version=version, rate=rate)
                continue
            if current is not None:
                yield current
            current = RateSpan(begin=at, end=until, version=version, rate=rate)
        if current is not None:
            yield current

    def _pieces(
        self, begin: datetime, end: datetime
    ) -> Iterator[tuple[datetime, datetime, TariffVersion | None, Rate | None]]:
        """Stretches of one rate, and quarter-hours around clock changes; the last may be cut. Each is looked up by the
        clock: a date may come twice, too."""
        if not self.versions:
            yield begin, end, None, None
            return
        zone = self.versions[0].zone
        at = begin
        while at < end:
            local = at.astimezone(zone)
            version, rates = self._day(local.date())
            place, into = divmod(local.hour * 60 + local.minute, QUARTER_MINUTES)
            until = at + (self._ends(rates)[place] - place) * QUARTER
            if into or local.second or until.astimezone(zone).utcoffset() != local.utcoffset():
                until = at + QUARTER
            until = min(until, end)
            yield at, until, version, rates[place]
            at = until

    def _day(self, day: date) -> tuple[TariffVersion | None, Sequence[Rate | None]]:
        """The version that is valid on a local day, and the rate at each quarter-hour that a clock can show."""
        found = self._days.get(day)
        if found is None:
            version = self._version(day)
            rates = NO_RATES if version is None else self._rates_of_day(version, day)
            found = self._days[day] = (version, rates)
        return found

    def _ends(self, rates: Sequence[Rate | None]) -> Sequence[int]:
        """Of each quarter-hour of a day up to which one its rate goes on."""
        known = self._rate_ends.get(id(rates))
        if known is None:
            ends = [len(rates)] * len(rates)
            for place in range(len(rates) - 2, -1, -1):
                ends[place] = ends[place + 1] if rates[place] is rates[place + 1] else place + 1
            known = self._rate_ends[id(rates)] = ends
        return known

    def _version(self, day: date) -> TariffVersion | None:
        found = None
        for version in self.versions:
            if version.valid_from <= day:
                found = version
        return found

    def _rates_of_day(self, version: TariffVersion, day: date) -> Sequence[Rate | None]:
        before = day - DAY
        key = (version.number, _number(version, day), _number(version, before), day.month, before.month)
        found = self._minutes.get(key)
        if found is None:
            rates = version.rates_of(self.direction)
            found = self._minutes[key] = [
                next((rate for rate in rates if rate.holds(*key[1:], minute)), None)
                for minute in range(0, MINUTES_PER_DAY, QUARTER_MINUTES)
            ]
        return found


def _number(version: TariffVersion, day: date) -> int:
    """The number of a day in rates."""
    return HOLIDAY if day in version.holidays else day.weekday()
