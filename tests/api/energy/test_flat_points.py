"""Meter points in the flat form: the numbers of `consumption/` and `cost/`, one bucket of a point per row."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from greenpower.sql import Device, DeviceType
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, Meters, make_meters
from tests.api.energy.test_points import FOR_EVER, ZONE
from tests.api.world import SqlApi

BEGIN = datetime(2026, 3, 28, tzinfo=ZONE).astimezone(UTC)
QUESTION = {"start_time": "2026-03-28", "end_time": "2026-03-30", "tz": ZONE.key, "bucket": "day"}


class Site(Meters, SqlApi):
    """Two meters over a clock change; one sends nothing on the last day. One of them pays."""

    def fill(self) -> None:
        for device, hours in (("hall", 80), ("shop", 40)):
            self.store(device, [(BEGIN + timedelta(hours=n), {"energy": 100 + n / 2}) for n in range(hours)])
        self.run_rollups()
        with self.app.app_context():
            db.session.add_all([Device(device_id=name, types=[DeviceType(type="meter")]) for name in ("hall", "shop")])
            db.session.commit()
        rates = [{"name": "always", "price": "0.3"}]
        tariff = {"name": "T", "currency": "EUR", "valid_from": "2026-01-01", "timezone": ZONE.key, "rates": rates}
        number = self.good("POST", "/api/energy/tariffs/", tariff, code=201)["id"]
        for device in ("hall", "shop"):
            part = {"type": "meter", "device_id": device, "field": "energy"}
            body = {"name": device, "role": "load", "parts": [part], "tariff_id": number if device == "hall" else None}
            self.good("POST", "/api/energy/points/", body, code=201)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    app, meters = make_meters(
        tmp_path_factory.mktemp("flat"), mongod.uri, "test_flat_points", (METER,), device_timezone=ZONE.key, **FOR_EVER
    )
    found = Site(app, meters.settings)
    found.clear()
    found.fill()
    yield found
    close_app(app)


def ask(site: Site, what: str, **query: Any) -> Any:
    response = site.get(f"/api/energy/{what}/", **QUESTION, **query)
    assert response.status_code == 200, response.text
    return response.text if query.get("format") == "csv" else response.get_json()


@pytest.mark.parametrize("what", ["consumption", "cost"])
def test_each_row_is_a_bucket_of_a_point(site: Site, what: str) -> None:
    wide = ask(site, what)
    columns = "unit,bucket,role,zone,final,coverage,adjustment" + (",amount,currency,energy" if what == "cost" else "")
    rows = ask(site, f"{what}/flat", columns=columns)["results"]
    expected = [
        (row["start"], point["point_id"], point["name"])
        for number in range(3)
        for point in wide["points"]
        for row in [point["results"][number]]
    ]
    assert [(row["timestamp"], row["point_id"], row["name"]) for row in rows] == expected
    assert {row["name"] for row in rows} == ({"hall"} if what == "cost" else {"hall", "shop"})
    by_place = {(point["name"], row["bucket"]): row for point in wide["points"] for row in point["results"]}
    for row in rows:
        whole = by_place[row["name"], row["bucket"]]
        energy = whole if what == "consumption" else whole["energy"]
        assert (row["final"], row["coverage"], row["unit"], row["role"]) == (
            energy["final"], energy["coverage"], "kWh", "load",
        )  # fmt: skip
        if what == "cost":
            assert row["amount"] == whole["amount"] and row["currency"] == "EUR" and row["energy"] == energy["energy"]
            assert row["value"] == float(Decimal(whole["amount"]))
        else:
            assert row["value"] == whole["energy"]
    assert list(ask(site, f"{what}/flat")["results"][0]) == ["timestamp", "point_id", "name", "value"]


def test_csv_has_the_same_and_nothing_known_is_an_empty_cell(site: Site) -> None:
    rows = ask(site, "consumption/flat")["results"]
    cells = list(csv.DictReader(io.StringIO(ask(site, "consumption/flat", format="csv"))))
    assert [(cell["timestamp"], int(cell["point_id"]), cell["name"]) for cell in cells] == [
        (row["timestamp"], row["point_id"], row["name"]) for row in rows
    ]
    assert [float(cell["value"]) if cell["value"] else None for cell in cells] == [row["value"] for row in rows]
    assert [row["value"] for row in rows if row["name"] == "shop"][2] is None


@pytest.mark.parametrize("parameters", [{"columns": "x"}, {"tz": "Nowhere"}, {"format": "ndjson"}, {"compare": "x"}])
@pytest.mark.parametrize("what", ["consumption", "cost"])
def test_what_cannot_be_used_is_refused(site: Site, what: str, parameters: dict[str, str]) -> None:
    response = site.get(f"/api/energy/{what}/flat/", **parameters)
    assert response.status_code == 422 and set(response.get_json()["errors"]["query"]) == set(parameters)


def test_a_site_without_points_of_a_kind_has_no_rows(site: Site) -> None:
    assert ask(site, "cost/flat", role="solar")["results"] == []
