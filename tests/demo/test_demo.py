"""The demonstration: every answer equals a plain recomputation from what its meters showed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest
from sqlalchemy import select

from greenpower.api.http.context import get_context
from greenpower.cli.console import console_actor
from greenpower.demo import site
from greenpower.demo.remove import remove_demo
from greenpower.demo.write import DemoError, DemoRegisters, had_meter_points, make_demo
from greenpower.energy.calendar import Unit, boundaries
from greenpower.mongo.schema.layout import layout
from greenpower.sql import Device, MeterPoint, ServiceZone
from greenpower.sql.actor import acting
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.demo.demo_site import KG, OTHER, PEAK_PRICES, DemoApi, Plain, demo_api

#: all that happens in a year happens in it
SHORT = timedelta(days=8)


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
    with demo_api(tmp_path_factory.mktemp("demo"), mongod.uri, zone, length, beside=length == SHORT) as api:
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
    was, now = demo.meanwhile, demo.five_days_ago()
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


def test_cost_to_the_last_digit(demo: DemoApi, plain: Plain, days: list[datetime]) -> None:
    names = {role.value: name for name, (role, _) in site.SOURCES.items()}
    body = demo.answer("cost", **asked(days, "month"))
    points = {point["name"]: point for point in body["points"]}
    grid, sold = points[names["grid_import"]], points[names["grid_export"]]
    for bought, fed_in in zip(grid["results"], sold["results"], strict=True):
        begin, end = stretch(bought)
        assert _amount(bought["lines"], "energy") == plain.bought(site.GRID, begin, end)
        assert _amount(fed_in["lines"], "energy") == plain.sold(begin, end)
        midnights = boundaries(begin, end, Unit.DAY, demo.zone)[:-1]
        nights = sum(1 for day in midnights if day.astimezone(demo.zone).date() >= plain.valid_from)
        assert _amount(bought["lines"], "standing") == nights * Decimal("0.55")
        power, _ = plain.peak(begin, end)
        last_day = end - timedelta(minutes=1)
        assert _amount(bought["lines"], "demand") == power * Decimal(PEAK_PRICES[plain.version(last_day)])
    begin, end = stretch(body)
    for consumer in site.CONSUMERS:
        if consumer.key != site.SWAPPED:
            amount = _amount(points[consumer.point]["total"]["lines"], "energy")
            assert amount == plain.bought(consumer.device_id, begin, end), consumer.point
    for point in body["points"]:
        assert sum(Decimal(row["amount"]) for row in point["results"]) == Decimal(point["total"]["amount"])


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


def test_everything_is_labelled(demo: DemoApi) -> None:
    with demo.app.app_context():
        for row in (Device, MeterPoint, ServiceZone):
            names = list(db.session.scalars(select(row.name)))
            assert names and all("(simulated)" in name for name in names)


def test_a_second_one_is_refused(demo: DemoApi) -> None:
    with demo.app.app_context(), pytest.raises(DemoError, match="--remove"):
        make_demo(demo.settings, db.session, get_context().mongo.database, demo.registry)


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


def _points(demo: DemoApi) -> dict[str, int]:
    with demo.app.app_context():
        return {row.name: row.id for row in db.session.scalars(select(MeterPoint))}


def _amount(lines: list[dict[str, str]], kind: str) -> Decimal:
    return sum((Decimal(line["amount"]) for line in lines if line["kind"] == kind), Decimal(0))
