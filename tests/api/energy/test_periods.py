"""Closed months over the API: kept figures, and adjustments, against a plain recomputation from the registers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from click.testing import CliRunner

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli import periods
from greenpower.config import ConfigError
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.sql import ClosedPeriod, Device, DeviceType
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app, refused
from tests.api.energy.meter import METER, Meters, Reading, make_meters
from tests.api.energy.test_points import FOR_EVER, ZONE
from tests.api.world import SqlApi

PATH = "/api/energy/periods/"
STEP = timedelta(minutes=30)
FIRST, LAST = datetime(2026, 2, 27, tzinfo=UTC), datetime(2026, 4, 2, tzinfo=UTC)
BEGIN, END = datetime(2026, 3, 1, tzinfo=ZONE), datetime(2026, 4, 1, tzinfo=ZONE)
#: from when on readings come after the month was closed
LATE = datetime(2026, 3, 20, 12, tzinfo=UTC)
RATE = {"rates": [{"name": "always", "price": "0.3"}]}


class Site(Meters, SqlApi):
    """A hall and a shop that count 0.1 and 0.2 kWh each half hour."""

    points: dict[str, int]
    tariff: int

    def fill(self) -> None:
        for device, each in (("hall", 1), ("shop", 2)):
            at = FIRST
            found: list[Reading] = []
            while at < LAST:
                found.append((at, {"energy": 100 + each * len(found) / 10}))
                at += STEP
            self.store(device, found)
        self.run_rollups(at=LAST + timedelta(hours=3))
        with self.app.app_context():
            db.session.add_all([Device(device_id=name, types=[DeviceType(type="meter")]) for name in ("hall", "shop")])
            db.session.commit()
        tariff = {"name": "T", "currency": "EUR", "valid_from": "2026-01-01", "is_default": True, **RATE}
        self.tariff = self.good("POST", "/api/energy/tariffs/", {**tariff, "timezone": ZONE.key}, code=201)["id"]
        factor = {"valid_from": "2026-01-01", "kg_per_unit": "0.4", "role": "load"}
        self.good("POST", "/api/energy/emission-factors/", factor, code=201)
        self.points = {}
        for device in ("hall", "shop"):
            part = {"type": "meter", "device_id": device, "field": "energy"}
            body = {"name": device, "role": "load", "parts": [part]}
            self.points[device] = self.good("POST", "/api/energy/points/", body, code=201)["id"]

    def shift(self, energy: float) -> None:
        """Readings of the shop that say other registers from a time on, to the end of the month, as if late."""
        self.database[METER.collection].update_many(
            {"device_id": "shop", "timestamp": {"$gte": LATE, "$lt": END}},
            [{"$set": {"payload.energy": {"$add": ["$payload.energy", energy]}}}],
        )
        hours = [LATE + timedelta(hours=place) for place in range((LAST - LATE) // timedelta(hours=1))]
        places = {Place.of("meter", METER.tiers[0].prefix, "shop", hour) for hour in hours}
        invalidate(self.database[INVALIDATIONS], places)
        self.run_rollups(at=LAST + timedelta(hours=3))

    def close(self, **body: Any) -> int:
        number: int = self.good("POST", PATH, {"month": "2026-03", **body}, code=201)["id"]
        return number

    def period(self, number: int) -> Any:
        return self.good("GET", f"{PATH}{number}/")

    def month(self, what: str) -> dict[str, Any]:
        response = self.get(f"/api/energy/{what}/", tz=ZONE.key, bucket="month", start_time="2026-03-01",
                            end_time="2026-03-31")  # fmt: skip
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.get_json()
        return found


#: half hours in the month, one hour of which is missing
STEPS = (END.astimezone(UTC) - BEGIN.astimezone(UTC)) // STEP


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    app, meters = make_meters(
        tmp_path_factory.mktemp("periods"), mongod.uri, "test_periods", (METER,), device_timezone=ZONE.key, **FOR_EVER
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


def test_a_closed_month_keeps_energy_cost_and_emissions(site: Site) -> None:
    number = site.close(reason="bills are sent")
    period = site.period(number)
    assert (period["month"], period["timezone"], period["closed_by"]) == ("2026-03", ZONE.key, "admin")
    assert period["adjustments"] == []
    for figure in period["figures"]:
        energy = STEPS * Decimal({"hall": "0.1", "shop": "0.2"}[figure["name"]])
        assert Decimal(figure["energy"]) == energy
        assert (Decimal(figure["amount"]), figure["currency"]) == (energy * Decimal("0.3"), "EUR")
        assert Decimal(figure["kg"]) == energy * Decimal("0.4")
    assert [one["id"] for one in site.get(PATH, month="2026-03").get_json()["results"]] == [number]
    assert site.get(PATH, month="2026-02").get_json()["count"] == 0


def test_a_month_is_closed_once_until_it_is_opened_again(site: Site) -> None:
    number = site.close()
    assert refused(site.ask("POST", PATH, {"month": "2026-03"}), 409)
    assert refused(site.ask("POST", f"{PATH}{number}/reopen/", {}), 422)
    opened = site.good("POST", f"{PATH}{number}/reopen/", {"reason": "wired wrongly"})
    assert opened["reopened_at"] and (opened["reopened_by"], opened["reopen_reason"]) == ("admin", "wired wrongly")
    assert refused(site.ask("POST", f"{PATH}{number}/reopen/", {"reason": "again"}), 409)
    assert len(site.period(number)["figures"]) == 2
    assert site.close() != number


def test_what_cannot_be_closed(site: Site) -> None:
    now = datetime.now(ZONE)
    for body in (
        {"month": f"{now:%Y-%m}"},
        {"month": "2026-13"},
        {"month": "2026-03-01"},
        {"month": "2026-03\n"},
        {"month": "2026-03", "zone_id": 999},
        {},
    ):
        assert refused(site.ask("POST", PATH, body), 422)
    assert refused(site.get(f"{PATH}999/"), 404)


def test_a_zone_is_closed_with_its_points_only(site: Site) -> None:
    zone = site.good("POST", "/api/service-zones/", {"name": "Halls"}, code=201)["id"]
    site.good("PATCH", f"/api/energy/points/{site.points['hall']}/", {"zone_id": zone})
    period = site.period(site.close(zone_id=zone))
    assert (period["scope"], [figure["name"] for figure in period["figures"]]) == ("Halls", ["hall"])
    site.good("PATCH", f"/api/energy/points/{site.points['hall']}/", {"zone_id": None})
    site.close()


def test_late_readings_a_correction_and_another_price_are_adjustments(site: Site) -> None:
    """A day that was given by hand, registers that came late, and a version of the tariff for the same day."""
    number = site.close()
    body = {
        "kind": "fixed", "type": "meter", "field": "energy", "reason": "it was off", "energy": 7.5,
        "begin": "2026-03-10T00:00:00Z", "end": "2026-03-11T00:00:00Z",
    }  # fmt: skip
    made = site.good("POST", "/api/devices/hall/corrections/", body, code=201)
    try:
        site.shift(3)
        rows = {row["name"]: row for row in site.period(number)["adjustments"]}
        assert rows["hall"]["reasons"] == ["correction"] and rows["hall"]["corrections"] == [made["id"]]
        assert Decimal(rows["hall"]["energy"]) == Decimal("7.5") - 48 * Decimal("0.1")
        assert rows["shop"]["reasons"] == ["late_readings"]
        assert Decimal(rows["shop"]["energy"]) == 3
        for row in rows.values():
            assert Decimal(row["amount"]) == Decimal(row["energy"]) * Decimal("0.3")
            assert Decimal(row["kg"]) == Decimal(row["energy"]) * Decimal("0.4")
    finally:
        site.shift(-3)
        site.good("DELETE", f"/api/devices/hall/corrections/{made['id']}/")
    assert site.period(number)["adjustments"] == []
    versions = f"/api/energy/tariffs/{site.tariff}/versions/"
    dearer = {"valid_from": "2026-01-01", "rates": [{"name": "always", "price": "0.35"}]}
    site.good("POST", versions, dearer, code=201)
    [hall, shop] = site.period(number)["adjustments"]
    assert hall["reasons"] == shop["reasons"] == ["tariff_version"] and len(hall["versions"]) == 2
    assert Decimal(hall["energy"]) == 0
    assert Decimal(hall["amount"]) == STEPS * Decimal("0.1") * Decimal("0.05")
    site.good("POST", versions, {"valid_from": "2026-01-01", **RATE}, code=201)
    assert site.period(number)["adjustments"] == []


def test_the_console_closes_and_opens_months(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(periods, "load_settings", lambda: site.settings)
    monkeypatch.setattr(periods, "create_app", lambda settings: create_app(settings, Registry.of(METER)))

    def run(*arguments: str) -> str:
        result = CliRunner().invoke(periods.periods, arguments)
        assert result.exit_code == 0, (result.output, result.exception)
        return result.output

    assert "2 meter points" in run("close", "2026-03", "--reason", "bills")
    [made] = site.get(PATH).get_json()["results"]
    assert made["closed_by"].startswith("cli:") and made["reason"] == "bills"
    again = CliRunner().invoke(periods.periods, ["close", "2026-03"])
    assert isinstance(again.exception, ConfigError) and "closed already" in str(again.exception)
    nowhere = CliRunner().invoke(periods.periods, ["close", "2026-02", "--zone", "Nowhere"])
    assert isinstance(nowhere.exception, ConfigError)
    assert CliRunner().invoke(periods.periods, ["close", "March"]).exit_code == 2
    run("reopen", str(made["id"]), "--reason", "wired wrongly")
    assert "wired wrongly" in run("list").splitlines()[1]
