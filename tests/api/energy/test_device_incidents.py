"""What an operator says of counters: incidents decided, meters swapped, and the buckets that follow from it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.measure.counter.state import energy
from greenpower.mongo.rollups.watermarks import note_horizon
from greenpower.mongo.schema.layout import ensure_indexes
from tests.api.conftest import Api, close_app
from tests.rollups.world import POWER, World, run_all

T0 = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=8)
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

    def expire(self, before: datetime) -> None:
        """Note that older readings are gone."""
        note_horizon(self.db.rollup_watermarks, "power", "", self.now, 0, at_least=before)
        forget_tier_views(self.api.app)

    def roll(self) -> None:
        run_all(self.db, (POWER,), self.settings, clock=self.clock)

    def energy(self) -> float:
        """Of the day, from the tier of six hours."""
        [bucket] = self.db.this_year_power_data.find()
        return energy(bucket["stats"]["c"])

    def incidents(self) -> list[Any]:
        found: list[Any] = self.api.get(f"/api/devices/{self.id}/incidents/", page_size=1000).get_json()["results"]
        return found


@pytest.fixture
def mongo_name(kept_name: str) -> str:
    """The database that a module's tests share, empty."""
    return kept_name


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
    meter.registers(10, 11, 511, 512, 513, 514)
    assert meter.energy() == 4
    [found] = meter.incidents()
    assert (found["incident"], found["status"], found["before"], found["value"]) == ("suspect_step", "open", 11, 511)
    path = f"/api/devices/{meter.id}/incidents/{found['id']}/"
    for status, counted in (("confirmed", 504), ("rejected", 4), ("open", 4)):
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
    for missing in ("0" * 24, "x" * 24):
        response = meter.send("PATCH", f"/api/devices/{meter.id}/incidents/{missing}/", {"status": "rejected"})
        assert response.status_code == 404


def test_what_later_readings_disprove_is_not_listed_any_more(meter: Meter) -> None:
    meter.registers(10, 10.5, 0, 0.2, 0.4, 0.6, 0.8)
    assert [found["incident"] for found in meter.incidents()] == ["reset"]
    meter.store(POWER, "m1", [(T0 + MINUTE * 2 + timedelta(seconds=30), {"c": 10.7})])
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
    # What the old meter showed at its end is left out.
    assert {found["incident"] for found in meter.incidents()} == {"dip", "spike", "swap"}


def test_a_swap_that_cannot_be_is_refused(meter: Meter) -> None:
    good = {"type": "power", "at": T0.isoformat(), "readings": {"c": {"last": 106, "first": 3}}}
    changes: list[dict[str, Any]] = [
        {"type": "nothing"},
        {"at": "2096-01-01T00:00:00Z"},
        {"at": (T0 - timedelta(hours=2)).isoformat()},
        {"reason": "x" * 301},
        {"readings": {"g": {"last": 1, "first": 2}}},
        {"readings": {"c": {"last": -1, "first": 2}}},
        {"readings": {}},
        {"more": 1},
    ]
    meter.expire(T0 - timedelta(hours=1))
    for change in changes:
        response = meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", {**good, **change})
        assert response.status_code == 422, change
    assert meter.send("POST", "/api/devices/9999/meter-swaps/", good).status_code == 404
    assert meter.db.counter_incidents.count_documents({}) == 0


def test_a_swap_that_did_not_happen_is_rejected(meter: Meter) -> None:
    meter.registers(100, 104, 105, 106, 107, 108)
    counted = meter.energy()
    body = {"type": "power", "at": (T0 + MINUTE * 3).isoformat(), "readings": {"c": {"last": 115, "first": 106}}}
    [swap] = meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", body).get_json()["results"]
    path = f"/api/devices/{meter.id}/incidents/{swap['id']}/"
    meter.roll()
    swapped = meter.energy()
    assert swapped == counted + 9
    for status, wanted in (("rejected", counted), ("confirmed", swapped), ("rejected", counted)):
        answer = meter.send("PATCH", path, {"status": status, "reason": "wrong meter"}).get_json()
        assert (answer["status"], answer["reason"], answer["decided_by"]) == (status, "wrong meter", "admin")
        meter.roll()
        assert meter.energy() == wanted
    assert meter.send("PATCH", path, {"status": "open"}).status_code == 409


def place(meter: Meter, kind: str, status: str = "open", **more: Any) -> str:
    """Put an incident on record, and return its path."""
    document = {
        "type": "power", "device_id": "m1", "field": "c", "at": T0 + timedelta(hours=2.5), "swap": False,
        "incident": kind, "status": status, "current": True, "found_at": T0, "updated_at": T0, **more,
    }  # fmt: skip
    meter.db.counter_incidents.insert_one(document)
    return f"/api/devices/{meter.id}/incidents/{document['_id']}/"


def invalidated(meter: Meter) -> list[int]:
    """The hours that wait for the rollups, since T0."""
    hours = sorted((one["hour"] - T0) // timedelta(hours=1) for one in meter.db.rollup_marks.find())
    meter.db.rollup_marks.delete_many({})
    return hours


@pytest.mark.parametrize(
    ("kind", "until", "hours"),
    [
        ("suspect_step", None, [2, 4]),
        ("rollover", None, [2, 4]),
        ("small_fall", None, [2, 4]),
        ("reset", 4.1, [2, 4]),
        ("fall", 5.9, [2, 4, 5]),
        ("fall", None, [2, 4, 5, 6, 20]),
        ("suspect_restart", 6, [2, 4, 5, 6]),
        ("unit_change", None, [2, 4, 5, 6, 20]),
    ],
)
def test_a_decision_touches_the_hours_that_it_can_change(
    meter: Meter, kind: str, until: float | None, hours: list[int]
) -> None:
    times = [T0 + timedelta(hours=hour, minutes=half) for hour in (0, 1, 4, 5, 6, 20) for half in (0, 30)]
    meter.store(POWER, "m1", [(time, {"c": 1.0}) for time in times])
    meter.db.rollup_marks.delete_many({})
    path = place(meter, kind, until=None if until is None else T0 + timedelta(hours=until))
    for status in ("confirmed", "rejected", "open"):
        assert meter.send("PATCH", path, {"status": status}).status_code == 200
        assert invalidated(meter) == hours


@pytest.mark.parametrize(
    ("kind", "status", "refused"),
    [
        ("suspect_step", "confirmed", False),
        ("suspect_step", "rejected", False),
        ("small_fall", "confirmed", False),
        ("fall", "rejected", False),
        ("reset", "confirmed", False),
        ("unit_change", "rejected", True),
    ],
)
def test_of_expired_readings_all_but_a_unit_can_be_decided(meter: Meter, kind: str, status: str, refused: bool) -> None:
    meter.expire(T0 + timedelta(hours=3))
    path = place(meter, kind, value=5.0, before=3.0)
    answer = meter.send("PATCH", path, {"status": status})
    assert answer.status_code == (409 if refused else 200)


def test_incidents_are_found_by_kind_and_status(meter: Meter) -> None:
    until = T0 + timedelta(hours=3)
    for number, (kind, status) in enumerate((("fall", "open"), ("spike", "noted"), ("unit_change", "open"))):
        place(meter, kind, status, at=T0 + number * MINUTE, until=until if kind == "fall" else None, settled=number > 0)

    def kinds(path: str, **query: Any) -> list[str]:
        return [found["incident"] for found in meter.api.get(path, **query).get_json()["results"]]

    for path in ("/api/incidents/", f"/api/devices/{meter.id}/incidents/"):
        assert kinds(path) == ["unit_change", "spike", "fall"]
        assert kinds(path, status="open") == ["unit_change", "fall"]
        assert kinds(path, incident="spike") == ["spike"] and kinds(path, incident="fall", status="noted") == []
        assert meter.api.get(path, incident="turn").status_code == 422
    assert kinds("/api/incidents/", type="power", status="open", incident="fall") == ["fall"]
    [fall] = meter.api.get("/api/incidents/", incident="fall").get_json()["results"]
    assert fall["until"] == f"{until:%Y-%m-%dT%H:%M:%S}.000Z" and fall["settled"] is False
    assert fall["decided_by"] is None and fall["reason"] is None
