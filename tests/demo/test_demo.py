"""The demonstration: every answer equals a plain recomputation from what its meters showed."""

from __future__ import annotations

import io
from bisect import bisect_left
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any

import openpyxl
import pytest
from sqlalchemy import select

from greenpower.api.http.context import get_context
from greenpower.cli.console import console_actor
from greenpower.demo import site
from greenpower.demo.remove import remove_demo
from greenpower.demo.write import DemoError, DemoRegisters, had_meter_points, make_demo
from greenpower.demo.year import QUARTER
from greenpower.energy.calendar import Unit, boundaries
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import layout
from greenpower.reports.form import MEDIA_TYPES, ReportForm
from greenpower.reports.period import last_ended
from greenpower.reports.report import number_text
from greenpower.sql import Device, MeterPoint, ServiceZone
from greenpower.sql.actor import acting
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.demo.demo_site import (
    DAY_PRICES,
    FED_IN_PRICES,
    KG,
    NIGHT_PRICES,
    OTHER,
    PEAK_PRICES,
    STANDING,
    DemoApi,
    Plain,
    demo_api,
)
from tests.reports.test_form import pdf_text

#: whose energy is corrected
CORRECTED = "PRESSES"

#: all that happens in a year happens in it, and a change of the clocks in a month that can be closed
SHORT, SHORT_END = timedelta(days=40), datetime(2026, 4, 2, tzinfo=UTC)


@pytest.fixture(
    scope="module",
    params=[
        ("Europe/Berlin", SHORT),
        *(
            pytest.param((zone, timedelta(days=366)), marks=[pytest.mark.slow, pytest.mark.timeout(900)])
            for zone in ("Europe/Berlin", "Asia/Kathmandu", "America/St_Johns")
        ),
    ],
    ids=lambda param: f"{param[1].days} days in {param[0]}",
)
def demo(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[DemoApi]:
    zone, length = request.param
    is_short = length == SHORT
    end = SHORT_END if is_short else None
    with demo_api(tmp_path_factory.mktemp("demo"), mongod.uri, zone, length, end, beside=is_short) as api:
        yield api


@pytest.fixture(scope="module")
def plain(demo: DemoApi) -> Plain:
    return Plain(demo.span, demo.zone, DemoRegisters.choose(demo.registry))


@pytest.fixture(scope="module")
def days(demo: DemoApi) -> list[datetime]:
    """The local days that are whole."""
    found = boundaries(demo.span.begin, demo.span.end, Unit.DAY, demo.zone)
    return [day for day in found if demo.span.begin < day <= demo.span.end]


def stretch(row: dict[str, str]) -> tuple[datetime, datetime]:
    """The whole local month, or what it is, that a row of an answer is for."""
    return datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])


def asked(days: list[datetime], bucket: str) -> dict[str, str]:
    return {"start_time": days[0].isoformat(), "end_time": days[-1].isoformat(), "bucket": bucket}


def near(energy: Decimal) -> object:
    return pytest.approx(float(energy), abs=1e-6)


def test_energy_of_each_point(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    body = demo.answer("consumption", **asked(days, "day"))
    found = {point["name"]: [row["energy"] for row in point["results"]] for point in body["points"]}
    for name, (role, device) in site.SOURCES.items():
        counter = "exported" if role == "grid_export" else device
        assert found.pop(name) == [near(plain.energy(counter, *pair)) for pair in pairwise(days)], name
    for consumer in site.CONSUMERS:
        # A day of silence has no energy; the day on which the meter came back has all of it.
        expected = [plain.of_consumer(consumer, *pair) for pair in pairwise(days)]
        shown = [energy or 0.0 for energy in found.pop(consumer.point)]
        assert shown == [near(energy) for energy in expected], consumer.point
    assert not found


def test_nothing_was_final_before_it_was_computed(demo: DemoApi) -> None:
    """Asked when all readings were stored, and the rollups of other devices had passed the year long ago."""
    if demo.end != SHORT_END:
        pytest.skip("no rollups have passed that year")
    was, now = demo.meanwhile, demo.five_days_before_end()
    opened = set()
    for what in ("consumption", "cost", "emissions"):
        for point, known in zip(was[what]["points"], now[what]["points"], strict=True):
            for row, truth in zip(
                (*point["results"], point["total"]), (*known["results"], known["total"]), strict=True
            ):
                own = row["energy"] if isinstance(row["energy"], dict) else row
                # Of a type that has no ledger yet all is made from readings: that is final, and right.
                assert row == truth or not own["final"], what
                if not own["final"]:
                    opened.add(point["name"])
    assert len(opened) >= len(site.CONSUMERS)
    assert not any(row["consumption"]["final"] for row in was["balance"]["results"])
    for point in was["availability"]["points"]:
        assert point["name"] not in opened or set(point["total"]["missing"]) == {"not_computed"}, point
    assert not demo.database.rollup_marks.count_documents({"work": {"$exists": True}})


def test_the_balance_and_what_is_not_metered(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    body = demo.answer("balance", **asked(days, "month"))
    assert body["results"]
    for row in body["results"]:
        begin, end = stretch(row)
        used = plain.energy(site.GRID, begin, end) + plain.energy(site.SOLAR, begin, end)
        used += plain.energy(site.GENERATOR, begin, end) - plain.energy("exported", begin, end)
        loads = sum((plain.of_consumer(consumer, begin, end) for consumer in site.CONSUMERS), Decimal(0))
        assert row["consumption"]["energy"] == near(used)
        assert row["unmetered"]["energy"] == near(used - loads)


def test_the_peak_of_each_month(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    [name] = [name for name, (role, _) in site.SOURCES.items() if role == "grid_import"]
    body = demo.answer("demand", **asked(days, "month"), minutes=15, point_id=_points(demo)[name])
    for row in body["points"][0]["results"]:
        power, when = plain.peak(*stretch(row))
        assert row["peak"]["power"] == near(power)
        assert datetime.fromisoformat(row["peak"]["start"]) == when


def test_the_peaks_of_meters_that_are_read_each_half_hour(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    """Half an hour's energy is no quarter's: at the demand route, and where it is paid."""
    ids = _points(demo)
    cost = {point["name"]: point for point in demo.answer("cost", **asked(days, "month"))["points"]}
    for consumer in site.CONSUMERS:
        body = demo.answer("demand", **asked(days, "month"), minutes=15, point_id=ids[consumer.point])
        for row, paid in zip(body["points"][0]["results"], cost[consumer.point]["results"], strict=True):
            power, when = plain.peak_of(consumer, *stretch(row))
            assert row["peak"]["power"] == near(power), (consumer.key, when, row)
            price = Decimal(PEAK_PRICES[plain.version(stretch(row)[1] - timedelta(minutes=1))])
            assert _amount(paid["lines"], "demand") == round(power, 9) * price


def test_cost_to_the_last_digit(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    names = {role.value: name for name, (role, _) in site.SOURCES.items()}
    body = demo.answer("cost", **asked(days, "month"))
    points = {point["name"]: point for point in body["points"]}
    grid, sold = points[names["grid_import"]], points[names["grid_export"]]
    for bought, fed_in in zip(grid["results"], sold["results"], strict=True):
        begin, end = stretch(bought)
        assert _amount(bought["lines"], "energy") == plain.bought(site.GRID, begin, end)
        assert _amount(fed_in["lines"], "energy") == plain.sold(begin, end)
        assert _amount(bought["lines"], "standing") == plain.standing(begin, end)
        power, _ = plain.peak(begin, end)
        last_day = end - timedelta(minutes=1)
        assert _amount(bought["lines"], "demand") == power * Decimal(PEAK_PRICES[plain.version(last_day)])
    begin, end = stretch(body)
    for consumer in site.CONSUMERS:
        amount = _amount(points[consumer.point]["total"]["lines"], "energy")
        assert amount == plain.bought_by(consumer, begin, end), consumer.point


def test_the_parts_are_the_whole_in_money_too(demo: DemoApi, days: list[datetime]) -> None:
    """Buckets of any length and zones: their sums are the same, to the last digit."""
    months = boundaries(days[0], days[-1], Unit.MONTH, demo.zone)
    stretches = {"start_time": months[0].isoformat(), "end_time": months[-1].isoformat()}
    whole = demo.answer("cost", bucket="month", **stretches)
    totals = {point["point_id"]: Decimal(point["total"]["amount"]) for point in whole["points"]}
    for bucket in ("day", "week", "month"):
        for point in demo.answer("cost", bucket=bucket, **stretches)["points"]:
            assert sum(Decimal(row["amount"]) for row in point["results"]) == Decimal(point["total"]["amount"])
            # Weeks at the ends are whole ones, so their total is another.
            assert bucket == "week" or Decimal(point["total"]["amount"]) == totals[point["point_id"]], bucket
    with demo.app.app_context():
        zones = {row.name: row.id for row in db.session.scalars(select(ServiceZone))}
    parts = sum(_total(demo.answer("cost", bucket="month", **stretches, zone_id=zones[name])) for name in site.ZONES)
    own = sum(Decimal(point["total"]["amount"]) for point in whole["points"] if point["zone"] == site.SITE)
    assert parts + own == _total(whole) == sum(totals.values())
    assert _total(demo.answer("cost", bucket="day", **stretches, zone_id=zones[site.SITE])) == _total(whole)


def test_data_availability(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    body = demo.answer("availability", **asked(days, "day"))
    found = {point["name"]: point for point in body["points"]}
    for name in site.SOURCES:
        assert found[name]["total"]["missing"] == {} and found[name]["total"]["percent"] == 100
    for consumer in site.CONSUMERS:
        for row in found[consumer.point]["results"]:
            begin, end = (at.astimezone(UTC) for at in stretch(row))
            missing = plain.missing(consumer, begin, end)
            assert row["missing"] == ({"silence": missing} if missing else {}), (consumer.key, row)
            assert row["expected"] == (end - begin) // QUARTER == row["available"] + missing
    silent = next(consumer for consumer in site.CONSUMERS if consumer.key == site.SILENT)
    assert found[silent.point]["total"]["missing"]


def test_carbon_dioxide(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    body = demo.answer("emissions", **asked(days, "month"))
    found = {point["name"]: point["total"]["kg"] for point in body["points"]}
    for name, (role, device) in site.SOURCES.items():
        if role in KG:
            kg = plain.energy(device, *stretch(body)) * Decimal(KG[role])
            assert float(found[name]) == near(kg), name


def test_what_went_wrong_is_to_be_seen(demo: DemoApi) -> None:
    """The spike is an incident, the silence a gap, the wrong meter a rest below zero."""
    incidents = list(demo.database.counter_incidents.find())
    assert {incident["device_id"] for incident in incidents} == {site.PREFIX + site.SPIKED}
    begin, end = demo.span.silence
    silent = next(consumer for consumer in site.CONSUMERS if consumer.key == site.SILENT)
    body = demo.answer(
        "consumption",
        start_time=begin.isoformat(),
        end_time=end.isoformat(),
        bucket="hour",
        point_id=_points(demo)[silent.point],
    )
    [point] = body["points"]
    assert point["total"]["coverage"] < 0.2
    begin, end = demo.span.imbalance
    balance = demo.answer("balance", start_time=begin.isoformat(), end_time=end.isoformat(), bucket="hour")
    assert balance["total"]["unmetered"]["energy"] < 0


def test_closed_months_and_adjustments(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    """Each whole month is closed; then energy of one meter is corrected, readings of another come late, and a version
    of the tariff is replaced. What was closed stays, and what differs is what a plain recomputation says."""
    months = list(pairwise(boundaries(days[0], days[-1], Unit.MONTH, demo.zone)))
    months = [(begin, end) for begin, end in months if days[0] <= begin and end <= days[-1]]
    path = "/api/energy/periods/"
    periods = [
        demo.good("POST", path, {"month": f"{begin.astimezone(demo.zone):%Y-%m}"}, code=201)["id"]
        for begin, _ in months
    ]
    assert periods
    closed = [_figures(demo.good("GET", f"{path}{period}/")) for period in periods]
    was = [_plain_figures(plain, *month) for month in months]
    for figures, expected in zip(closed, was, strict=True):
        for name, (energy, bought, kg) in expected.items():
            assert figures[name][0] == energy, name
            assert figures[name][2] == kg, name
            assert figures[name][1] == bought, name
    change_what_is_known(demo, plain, *months[-1])
    for period, figures, before, month in zip(periods, closed, was, months, strict=True):
        answer = demo.good("GET", f"{path}{period}/")
        assert _figures(answer) == figures
        now = _plain_figures(plain, *month)
        differing = {
            name: tuple(
                (new or Decimal(0)) - (old or Decimal(0)) for new, old in zip(now[name], before[name], strict=True)
            )
            for name in now
        }
        shown = {row["name"]: row for row in answer["adjustments"]}
        assert set(shown) == {name for name, values in differing.items() if any(values)}
        for name, row in shown.items():
            assert tuple(Decimal(row[key]) for key in ("energy", "amount", "kg")) == differing[name], name
    presses = next(consumer for consumer in site.CONSUMERS if consumer.key == CORRECTED)
    assert "correction" in shown[presses.point]["reasons"]
    stretches = {"start_time": months[0][0].isoformat(), "end_time": months[-1][1].isoformat()}
    for what, key in (("consumption", "energy"), ("cost", "amount"), ("emissions", "kg")):
        kept = demo.answer(what, bucket="month", **stretches)["points"]
        current = demo.answer(what, bucket="month", figures="current", **stretches)["points"]
        for point, known in zip(kept, current, strict=True):
            pairs = zip((*point["results"], point["total"]), (*known["results"], known["total"]), strict=True)
            for row, truth in pairs:
                assert row["adjustment"] is not None
                whole = Decimal(str(row[key])) + Decimal(str(row["adjustment"]))
                assert float(whole) == pytest.approx(float(truth[key]), abs=1e-6)
                assert key == "energy" or whole == Decimal(truth[key])


def change_what_is_known(demo: DemoApi, plain: Plain, begin: datetime, end: datetime) -> None:
    """Correct energy in a month, send late readings of a silence, and replace the first version of the tariff."""
    # A Saturday, on which there is no peak.
    day = next(day for day in boundaries(begin, end, Unit.DAY, demo.zone) if day.astimezone(demo.zone).weekday() == 5)
    span = day + timedelta(hours=8), day + timedelta(hours=12)
    device = site.PREFIX + CORRECTED
    body = {"kind": "fixed", "type": plain.registers.grid.datatype.name, "field": plain.registers.grid.field}
    body |= {"reason": "known from a bill", "begin": span[0].isoformat(), "end": span[1].isoformat()}
    demo.good("POST", f"/api/devices/{device}/corrections/", {**body, "energy": 64.0}, code=201)
    plain.replace(device, {span[0] + place * QUARTER: Decimal(4) for place in range(16)})
    _send_late(demo, plain)
    [tariff] = demo.get("/api/energy/tariffs/").get_json()["results"]
    plain.day_prices = ("0.30", DAY_PRICES[1])
    rates = [
        {"name": "night", "price": NIGHT_PRICES[0], "begin": "22:00", "end": "06:00"},
        {"name": "day", "price": plain.day_prices[0]},
        {"name": "fed in", "price": FED_IN_PRICES[0], "direction": "export"},
    ]
    version = {
        "valid_from": f"{plain.valid_from}", "rates": rates,
        "standing": [{"name": "meter", "price": f"{STANDING}", "per": "day"}],
        "demand": {"name": "peak", "price": PEAK_PRICES[0], "minutes": 15, "free": "0"},
    }  # fmt: skip
    demo.good("POST", f"/api/energy/tariffs/{tariff['id']}/versions/", version, code=201)


def _send_late(demo: DemoApi, plain: Plain) -> None:
    """A reading in the middle of the silence, which says that a quarter of its energy was counted before."""
    datatype, name = plain.registers.grid.datatype, site.PREFIX + site.SILENT
    begin, end = demo.span.silence
    times = plain.times[name]
    place = bisect_left(times, begin)
    after, middle = times[place], begin + (end - begin) / 2
    middle = middle.replace(minute=0, second=0)
    whole = plain.counted[name][after]
    part = (whole / 4).quantize(Decimal("0.01"))
    raw = demo.database[datatype.collection]
    last = raw.find_one({"device_id": name, "timestamp": times[place - 1]})
    assert last is not None
    field = plain.registers.grid.field
    value = Decimal(str(last["payload"][field])) + part * int(plain.registers.grid.counts)
    late = {key: value for key, value in last.items() if key != "_id"}
    raw.insert_one({**late, "timestamp": middle, "payload": {field: float(value)}})
    invalidate(demo.database.rollup_marks, [Place.of(datatype.name, datatype.tiers[0].prefix, name, middle)])
    for _ in range(2):
        demo.run_rollups()
    plain.replace(name, {middle: part, after: whole - part})


Figures = dict[str, tuple[Decimal | None, ...]]


def _figures(period: dict[str, Any]) -> Figures:
    """By name energy, amount and kg as they were closed."""
    return {
        figure["name"]: tuple(
            None if figure[key] is None else Decimal(figure[key]) for key in ("energy", "amount", "kg")
        )
        for figure in period["figures"]
    }


def _plain_figures(plain: Plain, begin: datetime, end: datetime) -> Figures:
    """The same of a month, recomputed."""
    found: Figures = {}
    price = Decimal(PEAK_PRICES[plain.version(end - timedelta(minutes=1))])
    for name, (role, device) in site.SOURCES.items():
        energy = plain.energy("exported" if role == "grid_export" else device, begin, end)
        amount = None
        if role == "grid_export":
            amount = plain.sold(begin, end)
        elif role == "grid_import":
            charge = plain.peak(begin, end)[0] * price
            amount = plain.bought(device, begin, end) + plain.standing(begin, end) + charge
        found[name] = energy, amount, energy * Decimal(KG[role]) if role in KG else None
    for consumer in site.CONSUMERS:
        charge = round(plain.peak_of(consumer, begin, end)[0], 9) * price
        amount = plain.bought_by(consumer, begin, end) + plain.standing(begin, end) + charge
        found[consumer.point] = plain.of_consumer(consumer, begin, end), amount, None
    return found


def test_everything_is_labelled(demo: DemoApi) -> None:
    with demo.app.app_context():
        for row in (Device, MeterPoint, ServiceZone):
            names = list(db.session.scalars(select(row.name)))
            assert names and all("(simulated)" in name for name in names)


def test_a_second_one_is_refused(demo: DemoApi) -> None:
    with demo.app.app_context(), pytest.raises(DemoError, match="--remove"):
        make_demo(demo.settings, db.session, get_context().mongo.database, demo.registry)


def test_a_report_says_what_the_other_routes_say(demo: DemoApi, plain: Plain) -> None:
    month = last_month(demo)
    report = demo.answer("report", period="month", start=month)
    query = {"bucket": "month", "start_time": report["start"], "end_time": report["end"]}
    balance = demo.answer("balance", **query, carrier="electricity", compare="previous")
    assert report["consumption"]["value"] == balance["total"]["consumption"]["energy"]
    assert report["consumption"]["previous"] == balance["compared_total"]
    assert report["unmetered"]["value"] == balance["total"]["unmetered"]["energy"]
    begin, end = datetime.fromisoformat(report["start"]), datetime.fromisoformat(report["end"])
    assert report["roles"]["grid_import"] == near(plain.energy(site.GRID, begin, end))
    days = [row["energy"] for row in report["days"] if row["energy"] is not None]
    assert sum(days) == near(Decimal(str(report["consumption"]["value"])))
    grid = [number for name, number in _points(demo).items() if "grid" in name or "fed in" in name]
    cost = demo.answer("cost", **query, point_id=grid)
    assert [(row["currency"], row["amount"]) for row in report["costs"]] == [
        (row["currency"], row["amount"]) for row in cost["totals"]
    ]
    peak = demo.answer("demand", **query, point_id=grid, role="grid_import")["points"][0]["peak"]
    assert [(row["power"], row["start"]) for row in report["peaks"]] == [(peak["power"], peak["start"])]
    assert report["kg"] == demo.answer("emissions", **query)["kg"]
    points = {row["name"]: row["total"] for row in demo.answer("consumption", **query)["points"]}
    assert {row["name"]: row["energy"] for row in report["points"]} == {
        name: total["energy"] for name, total in points.items()
    }
    assert report["honesty"]["silence_s"] == sum(total["silence_s"] for total in points.values())
    assert report["honesty"]["undecided"] == [name for name, total in points.items() if total["undecided"]]
    available = demo.answer("availability", **query)["points"]
    expected, there = (sum(row["total"][key] for row in available) for key in ("expected", "available"))
    assert report["honesty"]["available"] == round(100 * there / expected, 2)
    zones = [row["name"] for row in report["zones"]]
    assert {*zones} == {*site.ZONES}
    assert zones == sorted(zones, key=lambda name: -next(z["energy"] for z in report["zones"] if z["name"] == name))


def test_a_report_as_a_file_has_the_same_numbers(demo: DemoApi) -> None:
    month = last_month(demo)
    report = demo.answer("report", period="month", start=month)
    answers = {}
    for form in ("pdf", "xlsx", "html"):
        response = demo.get("/api/energy/report/", period="month", start=month, format=form, tz=demo.zone.key)
        assert response.status_code == 200 and response.headers["Cache-Control"] == "no-store"
        assert response.mimetype == MEDIA_TYPES[ReportForm(form)]
        answers[form] = response.data
    book = openpyxl.load_workbook(io.BytesIO(answers["xlsx"]), data_only=True)
    total = list(book["Days"].iter_rows(min_row=2, values_only=True))[-1]
    assert total[0] == "Sum" and total[1] == near(Decimal(str(report["consumption"]["value"])))
    energies = {row[0]: row[3] for row in book["Meter points"].iter_rows(min_row=2, values_only=True)}
    assert energies == {row["name"]: row["energy"] for row in report["points"]}
    text, page = pdf_text(answers["pdf"]), answers["html"].decode()
    for number in (number_text(report["consumption"]["value"]), number_text(report["costs"][0]["rounded"], 2)):
        assert number in text and number in page


def test_a_report_of_a_zone_and_of_a_zone_without_points(demo: DemoApi) -> None:
    with demo.app.app_context():
        zones = {row.name: row.id for row in db.session.scalars(select(ServiceZone))}
    hall = demo.answer("report", start=last_month(demo), zone_id=zones[site.HALL])
    assert hall["scope"] == site.HALL and hall["costs_of"] == "all" and hall["zones"] == []
    assert {row["zone"] for row in hall["points"]} == {site.HALL}
    empty = demo.good("POST", "/api/service-zones/", {"name": "বিদ্যুৎ"}, code=201)
    found = demo.answer("report", zone_id=empty["id"])
    assert (found["points"], found["costs"], found["kg"], found["consumption"]["value"]) == ([], [], None, None)
    for form in ("pdf", "xlsx", "html"):
        assert demo.get("/api/energy/report/", zone_id=empty["id"], format=form).status_code == 200
    demo.good("DELETE", f"/api/service-zones/{empty['id']}/", code=204)
    for wrong in ({"start": "x"}, {"period": "day"}, {"format": "doc"}, {"zone_id": 99999}, {"start": "9999-12"}):
        assert demo.get("/api/energy/report/", **wrong).status_code == 422, wrong


def test_it_is_removed_whole_and_alone(demo: DemoApi) -> None:
    """The last test: it takes away what the others read."""
    raw = DemoRegisters.choose(demo.registry).grid.datatype.collection
    was = demo.database[raw].count_documents({"device_id": OTHER})
    with demo.app.app_context(), acting(console_actor()):
        database = get_context().mongo.database
        assert remove_demo(demo.settings, db.session, database, demo.registry)
        for row in (Device, MeterPoint, ServiceZone):
            assert not list(db.session.scalars(select(row.id)))
        assert not remove_demo(demo.settings, db.session, database, demo.registry)
        assert had_meter_points(db.session)  # so that `greenpower up --demo` does not make it again
    left = set[str]()
    for name, _ in layout(demo.registry, demo.settings):
        left.update(demo.database[name].distinct("device_id"))
    assert left <= {OTHER}
    assert demo.database[raw].count_documents({"device_id": OTHER}) == was


def last_month(demo: DemoApi) -> str:
    """The newest month of which the demonstration has all."""
    return last_ended(demo.span.end, Unit.MONTH, demo.zone).name


def _points(demo: DemoApi) -> dict[str, int]:
    with demo.app.app_context():
        return {row.name: row.id for row in db.session.scalars(select(MeterPoint))}


def _total(body: dict[str, Any]) -> Decimal:
    [total] = body["totals"]
    return Decimal(total["amount"])


def _amount(lines: list[dict[str, str]], kind: str) -> Decimal:
    return sum((Decimal(line["amount"]) for line in lines if line["kind"] == kind), Decimal(0))
