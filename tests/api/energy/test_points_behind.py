"""Meter points while the rollups have yet to compute a part of the range: what they have is told, the rest is open."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenpower.api.energy import consumption_cost, point_query
from greenpower.sql import Device, DeviceType
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, Meters, make_meters
from tests.api.world import SqlApi

DAY, QUARTER = timedelta(days=1), timedelta(minutes=15)
DAYS, COMPUTED = 9, 4
EACH = Decimal("0.125")


class Site(Meters, SqlApi):
    """A hall that counts 0.125 kWh each quarter-hour for some days, of which the first are computed, if any."""

    begin: datetime

    def fill(self) -> None:
        self.begin = self.now.replace(hour=0, minute=0, second=0, microsecond=0) - (DAYS + 1) * DAY
        self.store(
            "hall", [(self.begin + number * QUARTER, {"energy": number * float(EACH)}) for number in range(DAYS * 96)]
        )
        with self.app.app_context():
            db.session.add(Device(device_id="hall", types=[DeviceType(type="meter")]))
            db.session.commit()
        part = {"type": "meter", "device_id": "hall", "field": "energy"}
        self.good("POST", "/api/energy/points/", {"name": "hall", "role": "load", "parts": [part]}, code=201)
        night = {"name": "night", "price": "0.2", "begin": "22:00", "end": "06:00"}
        rates = [night, {"name": "always", "price": "0.3"}]
        tariff = {"name": "T", "currency": "EUR", "valid_from": "2020-01-01", "is_default": True, "timezone": "UTC"}
        self.good("POST", "/api/energy/tariffs/", {**tariff, "rates": rates}, code=201)

    def days(self, what: str) -> dict[str, Any]:
        response = self.get(f"/api/energy/{what}/", tz="UTC", bucket="day", start_time=self.begin.isoformat(),
                            end_time=(self.begin + DAYS * DAY).isoformat())  # fmt: skip
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.get_json()
        return found

    def point(self, what: str) -> dict[str, Any]:
        [found] = self.days(what)["points"]
        assert len(found["results"]) == DAYS
        return dict(found)


@pytest.fixture
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    app, meters = make_meters(
        tmp_path_factory.mktemp("behind"), mongod.uri, "test_behind", (METER,), device_timezone="UTC"
    )
    found = Site(app, meters.settings)
    found.clear()
    found.fill()
    for module in (consumption_cost, point_query):
        monkeypatch.setattr(module, "MAX_RECENT_READINGS", 96)
    yield found
    close_app(app)


@pytest.mark.parametrize("computed", [0, COMPUTED])
def test_what_is_not_computed_is_open_and_not_refused(site: Site, computed: int) -> None:
    if computed:
        site.run_rollups(site.begin + computed * DAY)
    for what in ("consumption", "cost"):
        found = site.point(what)
        amounts = [row if what == "consumption" else row["energy"] for row in found["results"]]
        total = found["total"] if what == "consumption" else found["total"]["energy"]
        for number, amount in enumerate(amounts):
            # A day is computed a little later than it ends, and its end is open until then.
            if number < computed - 1:
                assert Decimal(str(amount["energy"])) == (95 if number == 0 else 96) * EACH and amount["final"]
            elif number > computed:
                assert (amount["energy"], amount["coverage"], amount["final"]) == (None, 0, False)
        assert not total["final"] and (total["energy"] is None) is (computed == 0)
    [balance, *_] = site.days("balance")["results"][::-1]
    assert balance["consumption"]["energy"] is None and not balance["consumption"]["final"]
    for what in ("demand", "emissions"):
        assert site.days(what)
    rows = site.point("availability")["results"]
    for number, row in enumerate(rows):
        if number > computed:
            assert (row["expected"], row["missing"]) == (96, {"not_computed": 96})
        elif number < computed - 1:
            assert (row["available"], row["missing"]) == (96, {})
    site.run_rollups()
    assert Decimal(str(site.point("consumption")["total"]["energy"])) == (DAYS * 96 - 1) * EACH
    assert all(row["final"] for row in site.point("consumption")["results"])
    assert site.point("availability")["total"]["missing"] == {}
    lines = site.point("cost")["total"]["lines"]
    assert sum(Decimal(line["quantity"]) for line in lines) == (DAYS * 96 - 1) * EACH
