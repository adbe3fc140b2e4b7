"""Closed months in answers about meter points: closed figures and adjustments, against what was counted and paid."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal
from typing import Any

import pytest

from greenpower.sql import ClosedPeriod, RoleName, User
from greenpower.sql.extensions import db
from greenpower.sql.restriction import restrict
from greenpower.sql.setup import make_user
from greenpower.stack import Mongod
from tests.api.conftest import close_app, refused
from tests.api.energy.meter import METER, make_meters
from tests.api.energy.test_periods import RATE, STEPS, Site
from tests.api.energy.test_points import FOR_EVER, ZONE
from tests.api.world import PASSWORD

Document = dict[str, Any]
MORE = Decimal(3)
EACH = {"hall": Decimal("0.1"), "shop": Decimal("0.2")}
MARCH = {name: STEPS * each for name, each in EACH.items()}
PRICE, FACTOR = Decimal("0.3"), Decimal("0.4")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    app, meters = make_meters(
        tmp_path_factory.mktemp("closed"), mongod.uri, "test_closed", (METER,), device_timezone=ZONE.key, **FOR_EVER
    )
    found = Site(app, meters.settings)
    found.clear()
    found.fill()
    yield found
    close_app(app)


@pytest.fixture
def site(shared: Site) -> Iterator[Site]:
    yield shared
    with shared.app.app_context():
        db.session.query(ClosedPeriod).delete()
        db.session.commit()


def ask(site: Site, what: str, bucket: str, start: str, end: str, **more: Any) -> Document:
    response = site.get(f"/api/energy/{what}/", bucket=bucket, start_time=start, end_time=end,
                        **{"tz": ZONE.key, **more})  # fmt: skip
    assert response.status_code == 200, response.text
    found: Document = response.get_json()
    return found


def by_name(body: Document) -> dict[str, Document]:
    return {point["name"]: point for point in body["points"]}


@contextmanager
def late_readings(site: Site) -> Iterator[int]:
    """March is closed, and then readings of the shop come that say 3 kWh more. Gives the id of the closed month."""
    number = site.close(reason="bills are sent")
    site.shift(float(MORE))
    try:
        yield number
    finally:
        site.shift(-float(MORE))


def value_of(what: str, row: Document) -> Decimal:
    """What an answer is about, in one of its values."""
    if what == "consumption":
        return Decimal(str(round(row["energy"], 6)))
    return Decimal(row["amount"] if what == "cost" else row["kg"])


def adjustment_of(row: Document) -> Decimal:
    return Decimal(str(row["adjustment"]))


UNITS = {"consumption": Decimal(1), "cost": PRICE, "emissions": FACTOR}


@pytest.mark.parametrize("what", list(UNITS))
def test_late_readings_do_not_change_a_closed_month(site: Site, what: str) -> None:
    each = UNITS[what]
    with late_readings(site) as number:
        rows = by_name(ask(site, what, "month", "2026-02-27", "2026-04-02"))
        days = by_name(ask(site, what, "day", "2026-03-01", "2026-03-31"))
        year = by_name(ask(site, what, "year", "2026-01-01", "2026-12-31"))
        some = by_name(ask(site, what, "day", "2026-03-10", "2026-03-31"))
        current = by_name(ask(site, what, "month", "2026-03-01", "2026-03-31", figures="current"))
        other = by_name(ask(site, what, "month", "2026-03-01", "2026-03-31", tz="UTC"))
    for name, more in (("hall", Decimal(0)), ("shop", MORE)):
        closed, adjustment = MARCH[name] * each, more * each
        february, march, april = rows[name]["results"]
        assert value_of(what, march) == closed and adjustment_of(march) == adjustment
        [of] = march["closed"]
        assert (of["period_id"], of["month"], of["kept"]) == (number, "2026-03", True)
        assert Decimal(of["adjustment"]) == adjustment and of["reasons"] == (["late_readings"] if more else [])
        assert february["closed"] == april["closed"] == []
        assert february["adjustment"] is april["adjustment"] is None
        # The total is of whole months, so it has the closed one.
        around = [value_of(what, row) for row in (february, march, april)]
        assert value_of(what, rows[name]["total"]) == sum(around)
        assert adjustment_of(rows[name]["total"]) == adjustment
        [only] = year[name]["results"]
        for row in (only, year[name]["total"]):
            assert value_of(what, row) == sum(around) and row["closed"] == march["closed"]
            assert adjustment_of(row) == adjustment
        # Days say what is known now, and which month they are of; total and adjustment are their sum.
        known = [value_of(what, row) for row in days[name]["results"]]
        assert value_of(what, days[name]["total"]) == closed
        assert sum(known) == closed + adjustment_of(days[name]["total"]) == closed + adjustment
        assert {(of["month"], of["kept"]) for row in days[name]["results"] for of in row["closed"]} == {
            ("2026-03", False)
        }
        for row in [*days[name]["results"], *some[name]["results"], some[name]["total"], *other[name]["results"]]:
            assert row["adjustment"] is None and [of["kept"] for of in row["closed"]] == [False]
        assert value_of(what, some[name]["total"]) == sum(known[9:])
        # What is known now, on demand.
        for row in (current[name]["results"][0], current[name]["total"]):
            assert value_of(what, row) == closed + adjustment and row["adjustment"] is None


def test_the_balance_has_closed_amounts_and_their_adjustments(site: Site) -> None:
    with late_readings(site) as number:
        [row] = ask(site, "balance", "month", "2026-03-01", "2026-03-31")["results"]
        total = ask(site, "balance", "day", "2026-03-01", "2026-03-31")["total"]
        [now] = ask(site, "balance", "month", "2026-03-01", "2026-03-31", figures="current")["results"]
    whole = sum(MARCH.values())
    for values in (row, total):
        for amount in (values["consumption"], values["roles"]["load"]):
            assert value_of("consumption", amount) == whole and amount["adjustment"] == float(MORE)
        [of] = values["closed"]
        assert (of["period_id"], of["kept"], of["reasons"]) == (number, True, ["late_readings"])
    assert value_of("consumption", now["consumption"]) == whole + MORE
    assert now["consumption"]["adjustment"] is None and [of["kept"] for of in now["closed"]] == [False]


def test_what_is_compared_with_is_what_was_closed_until_it_is_opened_again(site: Site) -> None:
    april = {"start": "2026-04-01", "end": "2026-04-30"}
    with late_readings(site) as number:
        for what, each in UNITS.items():
            for name, point in by_name(ask(site, what, "month", **april, compare="previous")).items():
                [row] = point["results"]
                compared = Decimal(str(row["compared"]))
                assert compared == Decimal(str(point["compared_total"])) == MARCH[name] * each
        balance = ask(site, "balance", "month", **april, compare="previous")
        assert balance["compared_total"] == balance["results"][0]["compared"] == float(sum(MARCH.values()))
        site.good("POST", f"/api/energy/periods/{number}/reopen/", {"reason": "meter was late"})
        [row] = by_name(ask(site, "consumption", "month", "2026-03-01", "2026-03-31"))["shop"]["results"]
        assert value_of("consumption", row) == MARCH["shop"] + MORE
        assert row["closed"] == [] and row["adjustment"] is None


def test_a_correction_is_an_adjustment_and_named(site: Site) -> None:
    site.close()
    body = {
        "kind": "fixed", "type": "meter", "field": "energy", "reason": "it was off", "energy": 7.5,
        "begin": "2026-03-10T00:00:00Z", "end": "2026-03-11T00:00:00Z",
    }  # fmt: skip
    made = site.good("POST", "/api/devices/hall/corrections/", body, code=201)
    try:
        [row] = by_name(ask(site, "cost", "month", "2026-03-01", "2026-03-31"))["hall"]["results"]
        difference = Decimal("7.5") - 48 * EACH["hall"]
        assert (Decimal(row["amount"]), adjustment_of(row)) == (MARCH["hall"] * PRICE, difference * PRICE)
        assert adjustment_of(row["energy"]) == difference and row["energy"]["corrections"] == []
        [of] = row["closed"]
        assert of["reasons"] == ["correction"] and of["corrections"] == [made["id"]]
    finally:
        site.good("DELETE", f"/api/devices/hall/corrections/{made['id']}/")


def test_energy_at_two_rates_is_that_of_its_hours_with_a_correction_in_it(site: Site) -> None:
    """What a correction gives is spread over rates as it is over hours."""
    body = {
        "kind": "fixed", "type": "meter", "field": "energy", "reason": "it was off", "energy": 7.7,
        "begin": "2026-03-10T19:00:00Z", "end": "2026-03-11T08:15:00Z",
    }  # fmt: skip
    made = site.good("POST", "/api/devices/hall/corrections/", body, code=201)
    versions = f"/api/energy/tariffs/{site.tariff}/versions/"
    night = {"name": "night", "price": "0.2", "begin": "22:00", "end": "06:00"}
    two = {"valid_from": "2026-01-01", "rates": [night, *RATE["rates"]]}
    site.good("POST", versions, two, code=201)
    try:
        days = by_name(ask(site, "cost", "day", "2026-03-09", "2026-03-12"))
        hours = by_name(ask(site, "consumption", "hour", "2026-03-09", "2026-03-12"))
        for name, point in days.items():
            for row in point["results"]:
                expected = {"night": Decimal(0), "always": Decimal(0)}
                for hour in hours[name]["results"]:
                    if hour["start"][:10] == row["bucket"]:
                        rate = "night" if hour["start"][11:13] >= "22" or hour["start"][11:13] < "06" else "always"
                        expected[rate] += value_of("consumption", hour)
                assert {line["name"]: Decimal(line["quantity"]) for line in row["lines"]} == expected
                assert value_of("consumption", row["energy"]) == sum(expected.values())
                assert Decimal(row["amount"]) == expected["night"] * Decimal("0.2") + expected["always"] * PRICE
    finally:
        site.good("POST", versions, {"valid_from": "2026-01-01", **RATE}, code=201)
        site.good("DELETE", f"/api/devices/hall/corrections/{made['id']}/")


def test_a_zone_keeps_its_figures_and_so_does_the_site_that_is_closed_later(site: Site) -> None:
    """And points that were made later have no closed figure."""
    zone = site.good("POST", "/api/service-zones/", {"name": "Shops"}, code=201)["id"]
    site.good("PATCH", f"/api/energy/points/{site.points['shop']}/", {"zone_id": zone})
    number = site.close(zone_id=zone)
    site.shift(float(MORE))
    part = {"type": "meter", "device_id": "shop", "field": "energy"}
    try:
        rows = {
            name: point["results"][0]
            for name, point in by_name(ask(site, "consumption", "month", "2026-03-01", "2026-03-31")).items()
        }
        assert rows["hall"]["closed"] == [] and [of["period_id"] for of in rows["shop"]["closed"]] == [number]
        assert value_of("consumption", rows["shop"]) == MARCH["shop"]
        later = site.close()
        figures = {figure["name"]: figure for figure in site.period(later)["figures"]}
        assert Decimal(figures["shop"]["energy"]) == MARCH["shop"]
        [adjusted] = site.period(later)["adjustments"]
        assert (adjusted["name"], Decimal(adjusted["energy"])) == ("shop", MORE)
        new = site.good("POST", "/api/energy/points/", {"name": "new", "role": "load", "parts": [part]}, code=201)
        rows = {
            name: point["results"][0]
            for name, point in by_name(ask(site, "consumption", "month", "2026-03-01", "2026-03-31")).items()
        }
        site.good("DELETE", f"/api/energy/points/{new['id']}/", code=204)
        assert rows["new"]["closed"] == [] and value_of("consumption", rows["new"]) == MARCH["shop"] + MORE
        assert [of["period_id"] for of in rows["shop"]["closed"]] == [number]
        assert [of["period_id"] for of in rows["hall"]["closed"]] == [later]
    finally:
        site.shift(-float(MORE))
        site.good("PATCH", f"/api/energy/points/{site.points['shop']}/", {"zone_id": None})
        site.good("DELETE", f"/api/service-zones/{zone}/", code=204)
    # The period of a zone that is gone is not the site's.
    site.good("POST", f"/api/energy/periods/{later}/reopen/", {"reason": "again"})
    assert site.close() != later


def test_another_price_is_an_adjustment_of_the_cost_alone(site: Site) -> None:
    site.close()
    versions = f"/api/energy/tariffs/{site.tariff}/versions/"
    site.good("POST", versions, {"valid_from": "2026-01-01", "rates": [{"name": "always", "price": "0.35"}]}, code=201)
    try:
        body = ask(site, "cost", "month", "2026-03-01", "2026-03-31")
        for name, point in by_name(body).items():
            [row] = point["results"]
            assert (Decimal(row["amount"]), adjustment_of(row)) == (MARCH[name] * PRICE, MARCH[name] * Decimal("0.05"))
            assert adjustment_of(row["energy"]) == 0
            assert [line["price"] for line in row["lines"]] == ["0.3"]
            [of] = row["closed"]
            assert of["reasons"] == ["tariff_version"] and len(of["versions"]) == 2
        [total] = body["totals"]
        assert Decimal(total["amount"]) == sum(MARCH.values()) * PRICE
        assert Decimal(total["adjustment"]) == sum(MARCH.values()) * Decimal("0.05")
        energy = by_name(ask(site, "consumption", "month", "2026-03-01", "2026-03-31"))
        assert all(point["total"]["closed"][0]["reasons"] == [] for point in energy.values())
    finally:
        site.good("POST", versions, {"valid_from": "2026-01-01", **RATE}, code=201)


def test_a_closed_cost_stays_when_the_point_has_no_tariff_any_more(site: Site) -> None:
    number = site.close()
    site.good("PATCH", f"/api/energy/tariffs/{site.tariff}/", {"is_default": False})
    try:
        body = ask(site, "cost", "month", "2026-03-01", "2026-03-31")
        for name, point in by_name(body).items():
            [row] = point["results"]
            assert point["currency"] == "EUR" and point["tariff"] == ""
            assert Decimal(row["amount"]) == MARCH[name] * PRICE == -adjustment_of(row)
            assert [(of["period_id"], of["reasons"]) for of in row["closed"]] == [(number, ["tariff_version"])]
        assert Decimal(body["totals"][0]["amount"]) == sum(MARCH.values()) * PRICE
        assert ask(site, "cost", "month", "2026-03-01", "2026-03-31", figures="current")["points"] == []
        francs = {"name": "F", "currency": "CHF", "valid_from": "2026-01-01", "is_default": True, **RATE}
        made = site.good("POST", "/api/energy/tariffs/", {**francs, "timezone": ZONE.key}, code=201)["id"]
        try:
            for name, point in by_name(ask(site, "cost", "month", "2026-03-01", "2026-03-31")).items():
                [row] = point["results"]
                assert (point["currency"], Decimal(row["amount"])) == ("CHF", MARCH[name] * PRICE)
                assert row["adjustment"] is None and [of["kept"] for of in row["closed"]] == [False]
        finally:
            site.good("DELETE", f"/api/energy/tariffs/{made}/", code=204)
    finally:
        site.good("PATCH", f"/api/energy/tariffs/{site.tariff}/", {"is_default": True})


def test_a_closed_emission_stays_when_the_factor_changes(site: Site) -> None:
    site.close()
    path = "/api/energy/emission-factors/"
    factor = {"valid_from": "2026-01-01", "role": "load"}
    site.good("POST", path, {**factor, "kg_per_unit": "0.5"}, code=201)
    try:
        body = ask(site, "emissions", "month", "2026-03-01", "2026-03-31")
        assert Decimal(body["kg"]) == sum(MARCH.values()) * FACTOR
        for name, point in by_name(body).items():
            [row] = point["results"]
            assert adjustment_of(row) == MARCH[name] * Decimal("0.1")
            assert row["closed"][0]["reasons"] == ["emission_factor"]
    finally:
        site.good("POST", path, {**factor, "kg_per_unit": "0.4"}, code=201)


def test_a_month_in_which_nothing_was_known_stays_so(site: Site) -> None:
    """January: closed without energy, and without it now."""
    site.good("POST", "/api/energy/periods/", {"month": "2026-01"}, code=201)
    [row] = by_name(ask(site, "consumption", "month", "2026-01-01", "2026-01-31"))["hall"]["results"]
    assert row["energy"] is None and row["adjustment"] == 0 and row["closed"][0]["kept"]


def test_who_is_restricted_gets_the_closed_figures_of_their_own_points(site: Site) -> None:
    """The month was closed for the site; what came late is of a point that they may not see."""
    zone = site.good("POST", "/api/service-zones/", {"name": "Halls"}, code=201)["id"]
    hall = f"/api/energy/points/{site.points['hall']}/"
    site.good("PATCH", hall, {"zone_id": zone})
    with site.app.app_context():
        assert make_user("guest", PASSWORD, RoleName.VIEWER)
        restrict(db.session.query(User).filter_by(username="guest").one(), {zone: RoleName.VIEWER})
        db.session.commit()
    token = site.log_in("guest", PASSWORD).get_json()["access"]
    number = site.close()
    site.shift(3)
    try:
        for what in ("consumption", "cost", "emissions"):
            for bucket in ("month", "day"):
                asked = (site, what, bucket, "2026-03-01", "2026-03-31")
                whole, own = by_name(ask(*asked)), by_name(ask(*asked, token=token))
                assert own == {"hall": whole["hall"]}, what
                assert set(whole) == {"hall", "shop"}
        [closed] = by_name(ask(*asked, token=token))["hall"]["total"]["closed"]
        assert (closed["period_id"], closed["kept"], closed["reasons"]) == (number, True, [])
        assert [row["name"] for row in site.period(number)["adjustments"]] == ["shop"]
        seen = site.get(f"/api/energy/periods/{number}/", token)
        assert [row["name"] for row in seen.get_json()["figures"]] == ["hall"]
        assert seen.get_json()["adjustments"] == [] and "shop" not in seen.text
        balance = ask(site, "balance", "month", "2026-03-01", "2026-03-31", token=token)["results"][0]
        assert Decimal(str(balance["consumption"]["energy"])) == MARCH["hall"]
        assert refused(site.ask("POST", "/api/energy/periods/", {"month": "2026-02"}, token=token), 403)
    finally:
        site.shift(-3)
        site.good("PATCH", hall, {"zone_id": None})
