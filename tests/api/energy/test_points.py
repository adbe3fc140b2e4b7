"""Meter points over the API: energy, balance, demand and cost against a plain recomputation from the registers."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from greenpower.api.http.context import get_context
from greenpower.datatype import ENERGY_TIERS, DataType, Field, Kind, Mqtt, PointRole, json_parser
from greenpower.datatype.carrier import Carrier
from greenpower.energy.demand import demands, peak
from greenpower.energy.month import months
from greenpower.energy.point import Point, PointPart
from greenpower.energy.point_reader import PointReader
from greenpower.energy.point_sums import read_peaks, read_point_groups
from greenpower.sql import MeterPoint
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app, refused
from tests.api.energy.meter import METER, Meters, make_meters
from tests.api.world import SqlApi

Document = dict[str, Any]
Series = list[tuple[datetime, float]]
WATTS = DataType(
    name="watts",
    title="Watts",
    endpoint="watts-data",
    collection="watts_data",
    match=(Mqtt("WATTS"),),
    fields=(Field("total", unit="Wh", kind=Kind.COUNTER, greatest_rate=200_000),),
    parse=json_parser(device="id", time="time"),
    tiers=ENERGY_TIERS,
)
ZONE = ZoneInfo("Europe/Berlin")
STEP = timedelta(minutes=5)
BEGIN = datetime(2026, 3, 27, tzinfo=UTC)
END = datetime(2026, 4, 3, tzinfo=UTC)
FOR_EVER = dict.fromkeys(
    (f"mongo_{name}_ttl_seconds" for name in ("today", "last_7_days", "last_30_days", "last_6_months", "this_year")), 0
)


class Site(Meters, SqlApi):
    """A site with meters that counted through the end of a month and a clock change."""

    series: dict[str, Series]

    def fill(self) -> None:
        rng = random.Random(7)
        self.series = {}
        for device, most in (("grid", 40), ("sold", 8), ("sun", 15), ("hall", 20), ("shop", 9), ("shop2", 9)):
            register, at, found = 1000.0, BEGIN - timedelta(days=1), []
            while at < END + timedelta(hours=3):
                register = round(register + rng.random() * most / 12, 3)
                found.append((at, register))
                at += STEP
            self.series[device] = found
        for device, series in self.series.items():
            unit, name = (1000, "total") if device in ("sun",) else (1, "energy")
            datatype = WATTS if device == "sun" else METER
            self.database[datatype.collection].insert_many(
                {
                    "device_id": device, "topic": "T", "timestamp": at, "received_at": at, "updated_at": at,
                    "payload": {name: round(value * unit, 3)}, "complete": True,
                }
                for at, value in series
            )  # fmt: skip
        self.run_rollups(at=END + timedelta(hours=3))

    def plain(self, device: str, begin: datetime, end: datetime) -> float:
        """Energy: what lies between the last register before `begin` and the last before `end`."""
        before = [value for at, value in self.series[device] if at < begin]
        until = [value for at, value in self.series[device] if at < end]
        return until[-1] - before[-1]

    def point(self, name: str, role: str, *devices: str, **more: Any) -> int:
        parts = [
            {"type": "watts" if device == "sun" else "meter", "device_id": device,
             "field": "total" if device == "sun" else "energy"}
            for device in devices
        ]  # fmt: skip
        made = self.good("POST", "/api/energy/points/", {"name": name, "role": role, "parts": parts, **more}, code=201)
        number: int = made["id"]
        return number

    def ask_for(self, what: str, **query: Any) -> Document:
        response = self.get(f"/api/energy/{what}/", tz="Europe/Berlin", **query)
        assert response.status_code == 200, response.text
        found: Document = response.get_json()
        return found


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    app, meters = make_meters(
        tmp_path_factory.mktemp("site"), mongod.uri, "test_points", (METER, WATTS), device_timezone=ZONE.key, **FOR_EVER
    )
    found = Site(app, meters.settings)
    found.types = (METER, WATTS)
    found.clear()
    found.fill()
    yield found
    close_app(app)


def local(*given: int) -> datetime:
    return datetime(*given, tzinfo=ZONE)  # type: ignore[arg-type, misc]


DAYS = [local(2026, 3, day) for day in range(28, 32)] + [local(2026, 4, 1), local(2026, 4, 2)]
RANGE = {"start_time": "2026-03-28", "end_time": "2026-04-01", "bucket": "day"}


@pytest.fixture
def points(site: Site) -> Iterator[dict[str, int]]:
    """A small site; taken away again."""
    made: dict[str, int] = {}
    made["grid"] = site.point("grid", "grid_import", "grid")
    made["sold"] = site.point("sold", "grid_export", "sold")
    made["sun"] = site.point("sun", "solar", "sun")
    made["hall"] = site.point("hall", "load", "hall", parent_id=made["grid"])
    change = "2026-03-29T10:00:00Z"
    made["shop"] = site.point("shop", "load", parent_id=made["grid"])
    site.good("PATCH", f"/api/energy/points/{made['shop']}/", {"parts": [
        {"type": "meter", "device_id": "shop", "field": "energy", "ends_at": change},
        {"type": "meter", "device_id": "shop2", "field": "energy", "begins_at": change},
    ]})  # fmt: skip
    yield made
    for number in made.values():
        site.good("DELETE", f"/api/energy/points/{number}/", code=204)


def test_points_count_what_their_counters_did_each_for_its_time(site: Site, points: dict[str, int]) -> None:
    body = site.ask_for("consumption", **RANGE)
    found = {point["name"]: [row["energy"] for row in point["results"]] for point in body["points"]}
    pairs = list(pairwise(DAYS))
    for name in ("grid", "sold", "sun", "hall"):
        assert found[name] == pytest.approx([site.plain(name, *pair) for pair in pairs], abs=1e-6), name
    change = datetime(2026, 3, 29, 10, tzinfo=UTC)
    expected = [
        site.plain("shop", DAYS[0], DAYS[1]),
        site.plain("shop", DAYS[1], change) + site.plain("shop2", change, DAYS[2]),
    ]
    expected += [site.plain("shop2", *pair) for pair in pairs[2:]]
    assert found["shop"] == pytest.approx(expected, abs=1e-6)
    assert all(row["final"] and row["coverage"] > 0.99 for point in body["points"] for row in point["results"])


def test_a_part_of_a_type_that_is_gone_is_not_known(site: Site, points: dict[str, int]) -> None:
    """The plugin was taken away: the sum says that it is not whole."""
    part = {"type": "gone", "device_id": "grid", "field": "energy", "sign": 1, "begins_at": None, "ends_at": None}
    with site.app.app_context():
        row = db.session.get(MeterPoint, points["hall"])
        assert row is not None
        row.parts = [*row.parts, part]
        db.session.commit()
    [point] = site.ask_for("consumption", **RANGE, point_id=points["hall"])["points"]
    assert point["total"]["coverage"] == 0
    assert point["total"]["energy"] == pytest.approx(site.plain("hall", DAYS[0], DAYS[-1]), abs=1e-6)


@pytest.mark.parametrize("bucket", ["hour", "day", "week", "month"])
def test_the_sum_of_the_buckets_is_the_whole(site: Site, points: dict[str, int], bucket: str) -> None:
    body = site.ask_for("consumption", **{**RANGE, "bucket": bucket})
    for point in body["points"]:
        total = sum(Decimal(repr(row["energy"] or 0.0)) for row in point["results"])
        assert float(total) == pytest.approx(point["total"]["energy"], abs=1e-9)


def test_what_the_balance_says(site: Site, points: dict[str, int]) -> None:
    body = site.ask_for("balance", **RANGE)
    begin, end = DAYS[0], DAYS[-1]
    of = {name: site.plain(name, begin, end) for name in ("grid", "sold", "sun", "hall")}
    shop = {point["name"]: point for point in site.ask_for("consumption", **RANGE)["points"]}["shop"]["total"]["energy"]
    consumption = of["grid"] + of["sun"] - of["sold"]
    total = body["total"]
    assert total["consumption"]["energy"] == pytest.approx(consumption, abs=1e-6)
    assert total["unmetered"]["energy"] == pytest.approx(consumption - of["hall"] - shop, abs=1e-6)
    assert total["solar_used"] == pytest.approx(of["sun"] - of["sold"], abs=1e-6)
    assert total["self_sufficiency"] == pytest.approx(1 - of["grid"] / consumption, abs=1e-4)
    [grid] = body["points"]
    assert grid["name"] == "grid"
    assert grid["unmetered"]["energy"] == pytest.approx(of["grid"] - of["hall"] - shop, abs=1e-6)
    days = [row["consumption"]["energy"] for row in body["results"]]
    assert sum(days) == pytest.approx(consumption, abs=1e-6)


def test_the_peak_of_a_month_and_when_it_was(site: Site, points: dict[str, int]) -> None:
    for minutes in (15, 30):
        body = site.ask_for("demand", **RANGE, point_id=points["grid"], minutes=minutes)
        step = timedelta(minutes=minutes)
        best: dict[date, tuple[float, datetime]] = {}
        at = DAYS[0].astimezone(UTC)
        while at < DAYS[-1]:
            power = site.plain("grid", at, at + step) / (minutes / 60)
            day = at.astimezone(ZONE).date()
            if day not in best or power > best[day][0] + 1e-9:
                best[day] = (power, at)
            at += step
        rows = body["points"][0]["results"]
        assert [row["peak"]["power"] for row in rows] == pytest.approx([power for power, _ in best.values()], abs=1e-6)
        assert [datetime.fromisoformat(row["peak"]["start"]) for row in rows] == [at for _, at in best.values()]
        assert body["points"][0]["power_unit"] == "kW" and body["points"][0]["running"] is None


TARIFF = {
    "name": "business", "currency": "EUR", "timezone": "Europe/Berlin", "is_default": True, "valid_from": "2026-01-01",
    "rates": [
        {"name": "night", "price": "0.18", "begin": "22:00", "end": "06:00"},
        {"name": "day", "price": "0.3125"},
        {"name": "sold", "price": "0.07", "direction": "export"},
    ],
    "standing": [{"name": "meter", "price": "9.90", "per": "month"}, {"name": "fee", "price": "0.11", "per": "day"}],
    "demand": {"name": "demand", "price": "12.5", "minutes": 15, "free": "5"},
}  # fmt: skip


@pytest.fixture
def tariff(site: Site) -> Iterator[int]:
    made = site.good("POST", "/api/energy/tariffs/", TARIFF, code=201)
    number = made["id"]
    site.good(
        "POST",
        f"/api/energy/tariffs/{number}/versions/",
        {"valid_from": "2026-04-01", "rates": [{"name": "flat", "price": "0.4"}]},
        code=201,
    )
    yield number
    site.good("DELETE", f"/api/energy/tariffs/{number}/", code=204)


def plain_cost(site: Site, device: str, begin: datetime, end: datetime) -> Decimal:
    """The energy of each quarter-hour at the price of the clock on the wall."""
    found = Decimal(0)
    at = begin.astimezone(UTC)
    while at < end:
        clock = at.astimezone(ZONE)
        price = Decimal("0.18") if clock.hour >= 22 or clock.hour < 6 else Decimal("0.3125")
        if clock.date() >= date(2026, 4, 1):
            price = Decimal("0.4")
        found += Decimal(str(round(site.plain(device, at, at + timedelta(minutes=15)), 3))) * price
        at += timedelta(minutes=15)
    return found


def test_a_bill_over_a_clock_change_and_a_change_of_prices(site: Site, points: dict[str, int], tariff: int) -> None:
    body = site.ask_for("cost", **RANGE)
    by_name = {point["name"]: point for point in body["points"]}
    assert {*by_name} == {"grid", "sold", "hall", "shop"}
    assert [point["name"] for point in body["without_tariff"]] == ["sun"]
    rows = by_name["grid"]["results"]
    for row, begin, end in zip(rows, DAYS, DAYS[1:], strict=False):
        energy = sum(Decimal(line["amount"]) for line in row["lines"] if line["kind"] == "energy")
        assert energy == plain_cost(site, "grid", begin, end), begin
    standing = [sum(Decimal(line["amount"]) for line in row["lines"] if line["kind"] == "standing") for row in rows]
    assert [round(amount, 3) for amount in standing] == [Decimal("0.429")] * 4 + [0]
    assert [line["kind"] for point in ("hall", "shop") for row in by_name[point]["results"] for line in row["lines"]]
    assert {line["kind"] for row in by_name["hall"]["results"] for line in row["lines"]} == {"energy"}
    sold = by_name["sold"]["total"]
    march = site.plain("sold", DAYS[0], DAYS[4])
    assert Decimal(sold["amount"]) == -Decimal(str(round(march, 3))) * Decimal("0.07")
    assert sold["unpriced"] == pytest.approx(site.plain("sold", DAYS[4], DAYS[5]), abs=1e-6)


def test_the_charge_for_demand_is_where_the_peak_was(site: Site, points: dict[str, int], tariff: int) -> None:
    """The month's peak, though the question is for some of its days; the same whatever the bucket."""
    quarters: dict[datetime, float] = {}
    at = BEGIN - timedelta(hours=23, minutes=45)
    while at < DAYS[4]:
        quarters[at] = site.plain("grid", at, at + timedelta(minutes=15)) * 4
        at += timedelta(minutes=15)
    when = max(quarters, key=lambda time: quarters[time])
    charge = (Decimal(str(round(quarters[when], 3))) - 5) * Decimal("12.5")
    for query in (
        RANGE,
        {**RANGE, "start_time": "2026-03-01"},
        {**RANGE, "bucket": "hour"},
        {**RANGE, "bucket": "month"},
    ):
        body = site.ask_for("cost", **query, point_id=points["grid"])
        found = {}
        for row in body["points"][0]["results"]:
            for line in row["lines"]:
                if line["kind"] == "demand":
                    found[row["start"], row["end"]] = Decimal(line["amount"])
        begin = datetime.fromisoformat(body["start"])
        if when < begin:
            assert not found
            continue
        [((start, end), amount)] = found.items()
        assert datetime.fromisoformat(start) <= when < datetime.fromisoformat(end)
        assert amount == pytest.approx(charge)


@pytest.mark.parametrize("bucket", ["day", "week", "month"])
def test_the_buckets_of_a_bill_are_the_whole_in_money_too(
    site: Site, points: dict[str, int], tariff: int, bucket: str
) -> None:
    year = {"start_time": "2026-01-01", "end_time": "2026-12-31"}
    [whole] = site.ask_for("cost", **year, bucket="year", point_id=points["grid"])["points"]
    [parts] = site.ask_for("cost", **year, bucket=bucket, point_id=points["grid"])["points"]
    assert sum(Decimal(row["amount"]) for row in parts["results"]) == Decimal(parts["total"]["amount"])
    if bucket != "week":  # whose ends are not those of the year
        assert parts["total"]["amount"] == whole["total"]["amount"]
        assert parts["total"]["lines"] == whole["total"]["lines"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"parts": [{"type": "nothing", "device_id": "grid", "field": "energy"}]}, "unknown data type"),
        ({"parts": [{"type": "meter", "device_id": "grid", "field": "volts"}]}, "no counter 'volts'"),
        ({"parts": [{"type": "meter", "device_id": "gird", "field": "energy"}]}, "unknown device: 'gird'"),
        ({"carrier": "water"}, "counts kWh; a point of water counts m³"),
        ({"parts": [{"type": "meter", "device_id": "grid", "field": "energy"}] * 2}, "counts twice"),
        ({"parts": [{"type": "meter", "device_id": "grid", "field": "energy", "ends_at": "2026-03-01T00:07:00Z"}]},
         "not on a quarter-hour"),
        ({"parent_id": 999}, "no meter point 999"),
        ({"zone_id": 999}, "no service zone 999"),
        ({"tariff_id": 999}, "no tariff 999"),
        ({"name": ""}, "Length"),
        ({"role": "sink"}, "Must be one of"),
    ],
)  # fmt: skip
def test_a_point_that_cannot_be_says_why(site: Site, body: Document, said: str) -> None:
    good = {"name": "new", "role": "load", "parts": [{"type": "meter", "device_id": "grid", "field": "energy"}]}
    response = site.ask("POST", "/api/energy/points/", {**good, **body})
    assert refused(response, 422) and said in response.text


def test_a_point_cannot_lie_below_itself(site: Site, points: dict[str, int]) -> None:
    response = site.ask("PATCH", f"/api/energy/points/{points['grid']}/", {"parent_id": points["hall"]})
    assert refused(response, 422) and "below itself" in response.text


def test_a_range_is_compared_with_the_one_before(site: Site, points: dict[str, int]) -> None:
    query = {"start_time": "2026-03-30", "end_time": "2026-03-31", "bucket": "day", "point_id": points["grid"]}
    [point] = site.ask_for("consumption", **query, compare="previous")["points"]
    before = [site.plain("grid", local(2026, 3, day), local(2026, 3, day + 1)) for day in (28, 29)]
    assert [row["compared"] for row in point["results"]] == pytest.approx(before, abs=1e-6)
    total = sum(before)
    assert point["compared_total"] == pytest.approx(total, abs=1e-6)
    assert point["change"] == pytest.approx((point["total"]["energy"] - total) / total, abs=1e-4)


LATER = {"start_time": "2026-03-30", "end_time": "2026-03-31", "bucket": "day"}
BEFORE = {"start_time": "2026-03-28", "end_time": "2026-03-29", "bucket": "day"}


def test_peaks_are_compared_with_those_before(site: Site, points: dict[str, int]) -> None:
    query = {"point_id": points["grid"], "minutes": 30}
    [point] = site.ask_for("demand", **LATER, **query, compare="previous")["points"]
    best = []
    for day in (28, 29):
        at, powers = local(2026, 3, day).astimezone(UTC), []
        while at < local(2026, 3, day + 1):
            powers.append(site.plain("grid", at, at + timedelta(minutes=30)) * 2)
            at += timedelta(minutes=30)
        best.append(max(powers))
    assert [row["compared"] for row in point["results"]] == pytest.approx(best, abs=1e-6)
    assert point["compared_peak"] == pytest.approx(max(best), abs=1e-6)
    assert point["change"] == pytest.approx(point["peak"]["power"] / max(best) - 1, abs=1e-4)


def test_a_bill_is_compared_with_what_it_was_by_the_prices_of_then(
    site: Site, points: dict[str, int], tariff: int
) -> None:
    body = site.ask_for("cost", **LATER, compare="previous")
    then = site.ask_for("cost", **BEFORE)
    assert (body["compared_with"]["start"], body["compared_with"]["end"]) == (then["start"], then["end"])
    for point, known in zip(body["points"], then["points"], strict=True):
        assert [row["compared"] for row in point["results"]] == [row["amount"] for row in known["results"]]
        assert point["compared_total"] == known["total"]["amount"]
        now, past = Decimal(point["total"]["amount"]), Decimal(known["total"]["amount"])
        assert point["change"] == pytest.approx(float((now - past) / abs(past)), abs=1e-4)
    assert [total["compared_amount"] for total in body["totals"]] == [total["amount"] for total in then["totals"]]
    hall = next(point for point in body["points"] if point["name"] == "hall")
    assert Decimal(hall["compared_total"]) == plain_cost(site, "hall", local(2026, 3, 28), local(2026, 3, 30))


@pytest.mark.parametrize("what", ["consumption", "balance", "demand", "cost", "emissions"])
@pytest.mark.parametrize("how", ["year_ago", "same_days"])
def test_what_nobody_knows_is_compared_with_nothing(
    site: Site, points: dict[str, int], tariff: int, what: str, how: str
) -> None:
    body = site.ask_for(what, **LATER, compare=how)
    start = {"year_ago": "2025-03-30", "same_days": "2025-03-31"}[how]
    assert body["compared_with"]["start"].startswith(f"{start}T00:00:00")
    for answer in [body] if what == "balance" else body["points"]:
        assert [row["compared"] for row in answer["results"]] == [None, None]
        assert answer["change"] is None
    assert what == "emissions" or body.get("points")


@pytest.mark.parametrize("minutes", [15, 60])
def test_the_mean_day_of_a_point_and_of_the_site(site: Site, points: dict[str, int], minutes: int) -> None:
    """Through a clock change: one hour of a Sunday is not there."""
    body = site.ask_for("profile", **RANGE, minutes=minutes)
    sums: dict[str, dict[tuple[str, str], list[float]]] = {"grid": {}, "whole": {}}
    at = DAYS[0].astimezone(UTC)
    while at < DAYS[-1]:
        clock, ends = at.astimezone(ZONE), (at, at + timedelta(minutes=15))
        kind = {5: "saturday", 6: "sunday"}.get(clock.weekday(), "workday")
        place = kind, f"{clock.hour:02}:{clock.minute // minutes * minutes:02}"
        grid = site.plain("grid", *ends)
        whole = grid + site.plain("sun", *ends) - site.plain("sold", *ends)
        for name, value in (("grid", grid), ("whole", whole)):
            sums[name].setdefault(place, []).append(value * 4)
        at += timedelta(minutes=15)
    days = {point["name"]: point["days"] for point in body["points"]} | {"whole": body["consumption"]}
    for name, expected in sums.items():
        found = {(kind, part["time"]): part for kind, parts in days[name].items() for part in parts}
        assert len(found) == 3 * 24 * 60 // minutes
        for place, part in found.items():
            powers = expected.get(place)
            assert part["hours"] == (0 if powers is None else len(powers) / 4), place
            mean = None if powers is None else pytest.approx(sum(powers) / len(powers), abs=1e-6)
            assert part["power"] == mean, place
    assert found["sunday", "02:00"]["power"] is None


@pytest.mark.parametrize("what", ["demand", "profile"])
def test_too_many_intervals_are_refused_before_they_are_made(site: Site, what: str) -> None:
    query = {"start_time": "1100-01-01", "end_time": "2026-01-01", "bucket": "year"}
    response = site.get(f"/api/energy/{what}/", **query)
    assert refused(response, 422) and "rows" in response.text


@pytest.mark.parametrize("seed", range(3))
def test_sums_by_groups_and_peaks_are_those_of_stretches(site: Site, seed: int) -> None:
    """The fast way to energy and demand, against the stretches one by one; parts that come, go and are subtracted."""
    rng = random.Random(seed)
    quarter = timedelta(minutes=15)
    month = months(BEGIN + timedelta(days=1), BEGIN + timedelta(days=2), ZONE)[0]
    cut = month.end - 96 * quarter * rng.randint(1, 4) - quarter * rng.randrange(96)
    one = PointPart(type="meter", device_id="grid", field="energy", ends_at=cut)
    other = PointPart(type="watts", device_id="sun", field="total", begins_at=cut - quarter)
    less = PointPart(type="meter", device_id="shop", field="energy", sign=-1)
    points = [
        Point(number=number, name="P", carrier=Carrier.ELECTRICITY, role=PointRole.LOAD, parts=parts)
        for number, parts in enumerate([(one,), (one, other), (one, other, less)])
    ]
    with site.app.app_context():
        context = get_context()
        place = (context.mongo.database, context.registry, context.settings, points)
        begin, end = month.end - timedelta(days=5), month.end + timedelta(days=1)
        inside = sorted({begin + quarter * rng.randrange(1, 570) for _ in range(40)})
        cuts = [begin, *inside, end]
        groups = [rng.randrange(4) for _ in cuts[1:]]
        fine = PointReader(*place, cuts, site.now).read().amounts
        whole, sums = read_point_groups(PointReader(*place, [begin, end], site.now), cuts, groups, 4)
        alone = PointReader(*place, [begin, end], site.now).read()
        for point in points:
            assert whole.amounts[point.number] == alone.amounts[point.number]
            for group in range(4):
                own = [amount for amount, of in zip(fine[point.number], groups, strict=True) if of == group]
                found = sums[point.number][group]
                assert found.energy == sum(amount.energy for amount in own)
                assert found.counted == any(amount.counted for amount in own)
        for minutes in (15, 30):
            bounds = month.intervals(minutes)
            slow = PointReader(*place, bounds, site.now).read().amounts
            peaks = read_peaks(PointReader(*place, [month.begin, month.end], site.now), month, minutes)
            for point in points:
                expected = peak(demands(bounds, slow[point.number], minutes))
                assert expected is not None
                assert (peaks[point.number].begin, peaks[point.number].power) == (expected.begin, expected.power)
