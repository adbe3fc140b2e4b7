"""What an operator says of counters: incidents decided, meters swapped, and the buckets that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.measure.counter.state import energy
from greenpower.mongo.schema.layout import ensure_indexes
from tests.api.conftest import Api, close_app
from tests.rollups.world import POWER, World, run_all

T0 = datetime(2026, 11, 20, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


class Meter(World):
    """A meter whose readings are there and rolled up, and the API."""

    def __init__(self, api: Api, settings: Settings) -> None:
        super().__init__(api.database, settings, T0 + timedelta(hours=30))
        self.api = api
        self.id = self.send("POST", "/api/devices/", {"device_id": "m1", "name": "meter"}).get_json()["id"]

    def send(self, method: str, path: str, body: Any) -> TestResponse:
        headers = {"Authorization": f"Bearer {self.api.tokens['access']}"}
        return self.api.client.open(path, method=method, json=body, headers=headers)

    def registers(self, *values: float) -> None:
        """Readings of the counter `c`, a minute apart, rolled up."""
        self.store(POWER, "m1", [(T0 + MINUTE * index, {"c": value}) for index, value in enumerate(values)])
        self.roll()

    def roll(self) -> None:
        run_all(self.db, (POWER,), self.settings, clock=self.clock)

    def energy(self) -> float:
        """Of the day, from the tier of six hours."""
        [bucket] = self.db.this_year_power_data.find()
        return energy(bucket["stats"]["c"])

    def incidents(self) -> list[Any]:
        found: list[Any] = self.api.get(f"/api/devices/{self.id}/incidents/").get_json()["results"]
        return found


@pytest.fixture
def meter(settings: Settings) -> Iterator[Meter]:
    """A meter of the small world."""
    init_sql(settings)
    app = create_app(settings, Registry.of(POWER))
    api = Api(app, settings)
    ensure_indexes(api.database, (POWER,), settings)
    yield Meter(api, settings)
    close_app(app)


def test_a_suspect_step_counts_once_it_is_confirmed(meter: Meter) -> None:
    meter.registers(10, 11, 511, 512, 513)
    assert meter.energy() == 3
    [found] = meter.incidents()
    assert (found["incident"], found["status"], found["before"], found["value"]) == ("suspect_step", "open", 11, 511)
    path = f"/api/devices/{meter.id}/incidents/{found['id']}/"
    for status, counted in (("confirmed", 503), ("rejected", 3)):
        response = meter.send("PATCH", path, {"status": status})
        assert response.status_code == 200 and response.get_json()["status"] == status
        meter.roll()
        assert meter.energy() == counted
    assert meter.db.rollup_marks.count_documents({}) == 0


def test_a_dip_leaves_nothing_to_decide(meter: Meter) -> None:
    meter.registers(10, 11, 0, 12, 13)
    [found] = meter.incidents()
    assert found["incident"] == "dip"
    response = meter.send("PATCH", f"/api/devices/{meter.id}/incidents/{found['id']}/", {"status": "rejected"})
    assert response.status_code == 409
    response = meter.send("PATCH", f"/api/devices/{meter.id}/incidents/{'0' * 24}/", {"status": "rejected"})
    assert response.status_code == 404


def test_what_later_readings_disprove_is_not_listed_any_more(meter: Meter) -> None:
    meter.registers(10, 11, 0, 1, 2, 3, 4)
    assert [found["incident"] for found in meter.incidents()] == ["reset"]
    meter.store(POWER, "m1", [(T0 + MINUTE * 2 + timedelta(seconds=30), {"c": 12.0})])
    meter.roll()
    assert [found["incident"] for found in meter.incidents()] == ["reset", "dip"]
    assert meter.db.counter_incidents.count_documents({}) == 2


def test_a_meter_swap_counts_what_both_meters_saw(meter: Meter) -> None:
    meter.registers(100, 104, 0, 0, 3, 5, 6, 7, 8)
    at = T0 + MINUTE * 4 - timedelta(seconds=20)
    body = {"type": "power", "at": at.isoformat(), "readings": {"c": {"last": 106, "first": 3}}}
    response = meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", body)
    assert response.status_code == 201
    meter.roll()
    assert meter.energy() == 6 + 5
    assert {found["incident"] for found in meter.incidents()} == {"swap"}


def test_a_swap_that_cannot_be_is_refused(meter: Meter) -> None:
    good = {"type": "power", "at": T0.isoformat(), "readings": {"c": {"last": 106, "first": 3}}}
    changes: list[dict[str, Any]] = [
        {"type": "nothing"},
        {"at": "2096-01-01T00:00:00Z"},
        {"readings": {"g": {"last": 1, "first": 2}}},
        {"readings": {"c": {"last": -1, "first": 2}}},
        {"readings": {}},
        {"more": 1},
    ]
    for change in changes:
        response = meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", {**good, **change})
        assert response.status_code == 422, change
    assert meter.send("POST", "/api/devices/9999/meter-swaps/", good).status_code == 404
    assert meter.db.counter_incidents.count_documents({}) == 0
