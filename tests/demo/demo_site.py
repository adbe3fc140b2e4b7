"""The demonstration over the API, and a plain recomputation of what it must answer, from what its meters showed."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from operator import itemgetter
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from greenpower.api.http.context import get_context
from greenpower.catalog.registry import Registry, get_registry
from greenpower.demo import site
from greenpower.demo.write import DemoRegisters, make_demo
from greenpower.demo.year import QUARTER, DemoSpan, MeterReading, readings
from greenpower.energy.calendar import Unit, boundaries
from greenpower.sql.extensions import db
from tests.api.conftest import close_app
from tests.api.energy.meter import Meters, make_meters
from tests.api.world import SqlApi

Document = dict[str, Any]
#: a device that is no part of the demonstration
OTHER = "33B1225950027"
DAY_PRICES, NIGHT_PRICES = ("0.29", "0.32"), ("0.19", "0.21")
FED_IN_PRICES, PEAK_PRICES = ("0.08", "0.075"), ("11.50", "12.40")
STANDING = Decimal("0.55")
DAY = timedelta(days=1)
KG = {"grid_import": "0.38", "solar": "0.04", "generator": "0.80"}


def days_before(end: datetime, days: int) -> date:
    return (end - timedelta(days=days)).date()


class DemoApi(Meters, SqlApi):
    """The API of the demonstration."""

    span: DemoSpan
    zone: ZoneInfo
    registry: Registry
    end: datetime
    #: what was answered while the year was stored and not computed, by what was asked
    meanwhile: dict[str, Document]

    def ask_meanwhile(self, line: str) -> None:
        """At the line that says that all readings are stored."""
        if line.startswith("stored"):
            self.meanwhile = self.five_days_before_end()

    def five_days_before_end(self) -> dict[str, Document]:
        """Some days, by what is asked."""
        stretch = {"start_time": f"{days_before(self.end, 5)}", "end_time": f"{days_before(self.end, 3)}"}
        several = ("consumption", "cost", "balance", "emissions", "availability")
        return {what: self.answer(what, bucket="day", **stretch) for what in several}

    def answer(self, what: str, **query: Any) -> Document:
        response = self.get(f"/api/energy/{what}/", tz=self.zone.key, **query)
        assert response.status_code == 200, response.text
        found: Document = response.get_json()
        return found


@contextmanager
def demo_api(
    home: Path, uri: str, zone: str, length: timedelta, end: datetime | None, *, beside: bool
) -> Iterator[DemoApi]:
    """The demonstration, made in a database of its own. beside: with a device whose rollups are up to date."""
    chosen = DemoRegisters.choose(get_registry())
    registry = Registry.of(chosen.grid.datatype, chosen.solar.datatype)
    name = "demo_" + zone.replace("/", "_").lower()
    app, meters = make_meters(home, uri, name, tuple(registry), device_timezone=zone)
    found = DemoApi(app, meters.settings)
    found.types, found.end = tuple(registry), end or datetime.now(UTC)
    found.registry, found.zone, found.meanwhile = registry, ZoneInfo(zone), {}
    try:
        found.clear()
        if beside:
            times = [datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=20 * count) for count in (99, 1)]
            payload = {chosen.grid.field: 12.5}
            found.database[chosen.grid.datatype.collection].insert_many(
                {"device_id": OTHER, "timestamp": at, "received_at": at, "updated_at": at, "payload": payload}
                for at in times
            )
            for _ in range(2):
                found.run_rollups()
        with app.app_context():
            database = get_context().mongo.database
            found.span = make_demo(found.settings, db.session, database, registry, found.ask_meanwhile, length, end)
        yield found
    finally:
        with app.app_context():
            get_context().mongo.database.client.drop_database(name)
        close_app(app)


@dataclass
class Plain:
    """What each meter counted at each time, added up reading by reading. The energy between two readings is counted at
    the second one; a reading that is far too high is none."""

    span: DemoSpan
    zone: ZoneInfo
    registers: DemoRegisters
    counted: dict[str, dict[datetime, Decimal]] = field(default_factory=lambda: defaultdict(dict))
    times: dict[str, list[datetime]] = field(default_factory=lambda: defaultdict(list))
    day_prices: tuple[str, str] = DAY_PRICES
    _series: dict[str, list[tuple[datetime, Decimal]]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        before: dict[str, Decimal] = {}
        for one in readings(self.span, self.zone):
            if one.device_id == site.PREFIX + site.SPIKED and one.time == self.span.spike:
                continue
            self.times[one.device_id].append(one.time)
            for name, total in self._shown(one):
                if name in before:
                    self.counted[name][one.time] = total - before[name]
                before[name] = total

    def _shown(self, one: MeterReading) -> Iterator[tuple[str, Decimal]]:
        register = self.registers.of(one.device_id)
        yield one.device_id, Decimal(str(register.show(one.total))) / int(register.counts)
        if one.exported is not None:
            yield "exported", Decimal(str(self.registers.fed_in.show(one.exported)))

    def energy(self, name: str, begin: datetime, end: datetime) -> Decimal:
        """kWh of a meter in `[begin, end)`."""
        return sum((energy for _, energy in self.within(name, begin, end)), Decimal(0))

    def within(self, name: str, begin: datetime, end: datetime) -> list[tuple[datetime, Decimal]]:
        """What a meter counted at each time in `[begin, end)`."""
        counted = self._series.get(name) or sorted(self.counted[name].items())
        self._series[name] = counted
        return counted[bisect_left(counted, begin, key=itemgetter(0)) : bisect_left(counted, end, key=itemgetter(0))]

    def of_consumer(self, consumer: site.Consumer, begin: datetime, end: datetime) -> Decimal:
        """kWh of a sub-meter, or of the two that were there one after the other."""
        if consumer.key != site.SWAPPED:
            return self.energy(consumer.device_id, begin, end)
        change = self.span.swap + QUARTER
        old = self.energy(consumer.device_id, begin, min(end, change))
        return old + self.energy(site.SWAPPED_TO, max(begin, change), end)

    @property
    def valid_from(self) -> date:
        """The first day of the tariff."""
        return (self.span.begin - timedelta(days=1)).date()

    def version(self, time: datetime) -> int:
        """Which of the two versions of the tariff holds."""
        half = (self.span.begin + (self.span.end - self.span.begin) / 2).date()
        return int(time.astimezone(self.zone).date() >= half)

    def bought(self, name: str, begin: datetime, end: datetime) -> Decimal:
        """What energy costs, by the clock on the wall."""
        found = Decimal(0)
        for time, energy in self.within(name, begin, end):
            hour = time.astimezone(self.zone).hour
            prices = NIGHT_PRICES if hour >= 22 or hour < 6 else self.day_prices
            found += energy * Decimal(prices[self.version(time)])
        return found

    def bought_by(self, consumer: site.Consumer, begin: datetime, end: datetime) -> Decimal:
        """The same of a sub-meter, or of the two that were there one after the other."""
        if consumer.key != site.SWAPPED:
            return self.bought(consumer.device_id, begin, end)
        change = self.span.swap + QUARTER
        old = self.bought(consumer.device_id, begin, min(end, change))
        return old + self.bought(site.SWAPPED_TO, max(begin, change), end)

    def standing(self, begin: datetime, end: datetime) -> Decimal:
        """A price for each local midnight."""
        midnights = boundaries(begin, end, Unit.DAY, self.zone)[:-1]
        return STANDING * sum(1 for day in midnights if day.astimezone(self.zone).date() >= self.valid_from)

    def replace(self, name: str, counted: dict[datetime, Decimal]) -> None:
        """Other energy than was counted, at some times."""
        self.counted[name] |= counted
        self._series.pop(name, None)

    def missing(self, consumer: site.Consumer, begin: datetime, end: datetime) -> int:
        """The quarter-hours without a sample in them, which lie between samples that are over an hour apart."""
        change = self.span.swap + QUARTER
        found = 0
        while begin < end:
            device = consumer.device_id
            if consumer.key == site.SWAPPED and begin >= change:
                device = site.SWAPPED_TO
            times = self.times[device]
            place = bisect_left(times, begin + QUARTER)
            found += times[place - 1] < begin and times[place] - times[place - 1] > 4 * QUARTER
            begin += QUARTER
        return found

    def sold(self, begin: datetime, end: datetime) -> Decimal:
        """What is paid for what is fed in; negative."""
        counted = self.within("exported", begin, end)
        return -sum((energy * Decimal(FED_IN_PRICES[self.version(time)]) for time, energy in counted), Decimal(0))

    def peak(self, begin: datetime, end: datetime) -> tuple[Decimal, datetime]:
        """The highest quarter-hour of the grid in kW, the first of equal ones, and when it began."""
        return self._peak(site.GRID, self.within(site.GRID, begin - DAY, end), begin)

    def peak_of(self, consumer: site.Consumer, begin: datetime, end: datetime) -> tuple[Decimal, datetime]:
        """The same of a sub-meter, whose energy is averaged since the reading before."""
        if consumer.key != site.SWAPPED:
            name = consumer.device_id
            return self._peak(name, self.within(name, begin - DAY * 20, end), begin)
        change = self.span.swap + QUARTER
        old = self.within(consumer.device_id, begin - DAY, min(end, change))
        new = self.within(site.SWAPPED_TO, max(begin - DAY, change), end)
        return self._peak(consumer.device_id if old else site.SWAPPED_TO, old + new, begin)

    def _peak(self, first: str, counted: list[tuple[datetime, Decimal]], since: datetime) -> tuple[Decimal, datetime]:
        """first: the meter of the first of them."""
        found = (Decimal(-1), datetime.max.replace(tzinfo=UTC))
        before = self.times[first][bisect_left(self.times[first], counted[0][0]) - 1]
        for time, energy in counted:
            power = energy * 3_600 / Decimal((time - before) // timedelta(seconds=1))
            if time >= since and round(power, 9) > round(found[0], 9):
                found = (power, time)
            before = time
        return found
