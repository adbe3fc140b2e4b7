"""Filters that name what does not exist are refused by that name; ids with commas; texts of errors that views write."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenpower.api.http.known import KNOWN_SECONDS, MAX_KNOWN, KnownLately
from greenpower.mongo.schema.layout import EVENTS, INTERVALS, SEEN
from greenpower.sql import Device
from greenpower.sql.extensions import db
from tests.api.conftest import Api
from tests.api.energy.meter import PATH, Meters
from tests.api.telemetry.test_events import event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
# Every list that takes devices, with a parameter that is needed besides.
LISTS = [f"{PATH}{part}" for part in ("", "latest/", "devices/", "export/", "consumption/")]
OTHERS = ["/api/telemetry/events/", "/api/incidents/", "/api/corrections/", "/api/devices/commands/"]


@pytest.fixture
def filled(meters: Meters) -> Iterator[Meters]:
    meters.store("M1", [(NOON, {"volts": 1.0, "energy": 1.0})])
    yield meters
    with meters.app.app_context():
        db.session.query(Device).delete()
        db.session.commit()


def errors(api: Api, path: str, **query: Any) -> dict[str, list[str]]:
    response = api.get(path, **query)
    assert response.status_code == 422, (path, query, response.text)
    found: dict[str, list[str]] = response.get_json()["errors"]["query"]
    return found


@pytest.mark.parametrize("path", LISTS + OTHERS)
def test_an_unknown_device_is_named(filled: Meters, path: str) -> None:
    found = errors(filled, path, device_id="M1x")
    assert list(found) == ["device_id"] and "'M1x'" in str(found)
    assert filled.get(path, device_id="M1").status_code == 200


@pytest.mark.parametrize("path", LISTS)
def test_among_known_devices_the_unknown_ones_are_named(filled: Meters, path: str) -> None:
    for given in (["M1", "X1", "X2"], "M1,X1,X2", "X1,M1,X2"):
        messages = errors(filled, path, device_id=given)["device_id"]
        assert len(messages) == 2 and "'X1'" in messages[0] and "'X2'" in messages[1]


def test_a_device_is_known_by_whatever_there_is_of_it(filled: Meters) -> None:
    database = filled.database
    with filled.app.app_context():
        db.session.add(Device(device_id="registered"))
        db.session.commit()
    database[SEEN].insert_one({"_id": "meter|heard", "type": "meter", "device_id": "heard", "last_heard": NOON})
    bucket = {"timestamp": NOON, "payload": {}, "final": True}
    database["this_year_meter_data"].insert_one({**bucket, "device_id": "old"})
    database[INTERVALS].insert_one({"type": "meter", "device_id": "counted", "field": "energy", "day": NOON})
    database[EVENTS].insert_one(event(device_id="rejected"))
    for known in ("registered", "heard", "old", "counted"):
        assert filled.get(PATH, device_id=known).status_code == 200, known
        assert filled.get("/api/telemetry/events/", device_id=known).status_code == 200, known
    # An id that only rejected frames had has no data, but it has events.
    assert filled.get("/api/telemetry/events/", device_id="rejected").status_code == 200
    assert "device_id" in errors(filled, PATH, device_id="rejected")


def test_an_id_with_a_comma(filled: Meters) -> None:
    filled.store("A,B", [(NOON, {"volts": 1.0})])
    filled.store("A", [(NOON, {"volts": 1.0})])

    def asked(given: str | list[str]) -> set[str]:
        return {row["device_id"] for row in filled.body(device_id=given, resolution="raw")["results"]}

    assert asked("A,B") == {"A,B"}
    assert asked(["A,B", "M1"]) == {"A,B", "M1"}
    assert asked("A,M1") == {"A", "M1"} == asked(["A", "M1"])
    # Repeated values are whole ids.
    assert errors(filled, PATH, device_id=["A,M1", "M1"])["device_id"] == ["unknown device: 'A,M1'"]
    assert errors(filled, PATH, device_id="A,B,M1")["device_id"] == ["unknown device: 'B'"]


@pytest.mark.parametrize("odd", ["\0", "a\0b", "\ufffd", "x" * 64, "$where", " ", "%", "M1 ", "\uff21"])
def test_odd_ids_are_refused_as_any_other(filled: Meters, odd: str) -> None:
    for path in (*LISTS, *OTHERS):
        assert filled.get(path, device_id=odd).status_code == 422, path


@pytest.mark.parametrize(
    ("path", "query", "name"),
    [
        ("/api/telemetry/events/", {"type": "nope"}, "type"),
        ("/api/incidents/", {"type": "nope"}, "type"),
        ("/api/corrections/", {"type": "nope"}, "type"),
        ("/api/corrections/", {"field": "nope"}, "field"),
        ("/api/devices/", {"type": "nope"}, "type"),
        ("/api/devices/", {"zone_id": 9_999}, "zone_id"),
        (PATH, {"fields": "nope"}, "fields"),
        (PATH + "consumption/", {"field": "nope"}, "field"),
        (PATH + "consumption/", {"zone_id": 9_999}, "zone_id"),
        (PATH + "consumption/", {"tz": "Mars/Base"}, "tz"),
    ],
)
def test_other_names_that_do_not_exist(filled: Meters, path: str, query: dict[str, Any], name: str) -> None:
    found = errors(filled, path, **query)
    assert list(found) == [name] and str(next(iter(query.values()))) in str(found)


def test_a_mistyped_meter_has_no_bill(filled: Meters) -> None:
    begin = filled.now - timedelta(days=2)
    filled.store("M7", [(begin, {"energy": 1.0}), (begin + timedelta(days=1), {"energy": 5.0})])
    path = PATH + "consumption/"
    assert filled.get(path, device_id="M7").get_json()["total"] == 4
    assert errors(filled, path, device_id="M7 ", bucket="month")["device_id"] == ["unknown device: 'M7 '"]


def test_what_a_view_wrote_reaches_the_caller(filled: Meters) -> None:
    missing = filled.get("/api/devices/9999/")
    assert missing.status_code == 404 and "9999" in missing.get_json()["message"]
    nowhere = filled.get("/api/nowhere/")
    assert nowhere.status_code == 404 and nowhere.get_json()["message"] == "Not found."


def test_a_device_is_known_for_a_short_time() -> None:
    now = [1_000.0]
    lately = KnownLately(lambda: now[0])
    assert not lately.has("M1")
    lately.add({"M1"})
    assert lately.has("M1") and not lately.has("M2")
    now[0] += KNOWN_SECONDS - 1
    assert lately.has("M1")
    now[0] += 2
    assert not lately.has("M1")


def test_what_is_known_is_bounded() -> None:
    lately = KnownLately()
    for number in range(0, 3 * MAX_KNOWN, 1_000):
        lately.add(f"M{number + one}" for one in range(1_000))
        assert len(lately._until) <= MAX_KNOWN
    assert lately.has(f"M{3 * MAX_KNOWN - 1}")
