"""Devices and service zones, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr

from greenpower.config import Settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, SEEN
from greenpower.sql import DeviceStatus
from greenpower.sql.device_status import record_status
from greenpower.sql.extensions import db
from tests.api.conftest import close_app, make_app, refused
from tests.api.world import SqlApi

DEVICES, ZONES = "/api/devices/", "/api/service-zones/"


@pytest.fixture
def api(sql_settings: Settings, mongo_uri: str, mongo_name: str) -> Iterator[SqlApi]:
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    app = make_app(settings)
    yield SqlApi(app, settings)
    close_app(app)


def add(api: SqlApi, device_id: str, **more: Any) -> dict[str, Any]:
    made: dict[str, Any] = api.good("POST", DEVICES, {"device_id": device_id, **more}, code=201)
    return made


def ids(api: SqlApi, **query: Any) -> list[str]:
    return [device["device_id"] for device in api.get(DEVICES, **query).get_json()["results"]]


def test_a_device_is_registered_changed_and_deleted(api: SqlApi) -> None:
    zone = api.good("POST", ZONES, {"name": "Block A"}, code=201)
    made = add(api, "M/1", name="Main", types=["probe"], timezone="Asia/Dhaka", interval_seconds=60, zone_id=zone["id"])
    assert made["zone"] == {"id": zone["id"], "name": "Block A"} and made["types"] == ["probe"]
    assert made["status"] == "unknown" and made["last_heard"] is None
    one = f"{DEVICES}{made['id']}/"
    assert api.good("GET", one) == made
    changed = api.good("PATCH", one, {"name": "Mains", "timezone": None, "zone_id": None, "types": ["probe", "silent"]})
    assert (changed["name"], changed["timezone"], changed["zone"]) == ("Mains", None, None)
    assert changed["interval_seconds"] == 60 and changed["types"] == ["probe", "silent"]
    api.good("DELETE", one, code=204)
    assert refused(api.ask("GET", one), 404) and ids(api) == []


def test_ingest_is_told_at_once(api: SqlApi) -> None:
    made = add(api, "A", timezone="Asia/Dhaka")
    projection = api.database[DEVICE_SETTINGS]

    def zone() -> Any:
        document = projection.find_one({"_id": "A"})
        return None if document is None else document["timezone"]

    assert zone() == "Asia/Dhaka"
    api.good("PATCH", f"{DEVICES}{made['id']}/", {"timezone": "Europe/Berlin"})
    assert zone() == "Europe/Berlin"
    api.good("DELETE", f"{DEVICES}{made['id']}/", code=204)
    assert zone() is None


def test_when_a_device_was_heard_is_told(api: SqlApi) -> None:
    made = add(api, "A", types=["probe", "silent"])
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    for name, hours in (("probe", 0), ("silent", 1)):
        heard = noon + timedelta(hours=hours)
        document = {"type": name, "device_id": "A", "first_seen": heard, "last_heard": heard}
        api.database[SEEN].insert_one({"_id": f"{name}|A", **document})
    shown = api.good("GET", f"{DEVICES}{made['id']}/")
    assert shown["first_seen"] == "2026-11-23T12:00:00.000Z" and shown["last_heard"] == "2026-11-23T13:00:00.000Z"
    assert shown["last_reading"] is None
    api.good("DELETE", f"{DEVICES}{made['id']}/", code=204)
    assert api.database[SEEN].count_documents({}) == 0


def test_devices_are_found_by_what_they_are(api: SqlApi) -> None:
    zone = api.good("POST", ZONES, {"name": "Block A"}, code=201)["id"]
    add(api, "A", types=["probe"], zone_id=zone)
    add(api, "B", types=["silent"])
    add(api, "C", types=["probe", "silent"])
    with api.app.app_context():
        record_status(db.session, "C", DeviceStatus.ONLINE, datetime.now(UTC))
        db.session.commit()
    assert ids(api) == ["A", "B", "C"] and ids(api, type="silent") == ["B", "C"]
    assert ids(api, zone_id=zone) == ["A"] and ids(api, status="online") == ["C"] and ids(api, device_id="B") == ["B"]
    assert ids(api, page=2, page_size=2) == ["C"]
    first = api.get(DEVICES, page_size=2).get_json()
    assert first["count"] == 3 and first["previous"] is None and "page=2" in first["next"]
    assert refused(api.get(DEVICES, device_id="A\0"), 422) and refused(api.get(DEVICES, statsu="online"), 422)


NO_DEVICES: list[dict[str, Any]] = [
    {},
    {"device_id": ""},
    {"device_id": "$x"},
    {"device_id": "a\n"},
    {"device_id": "A", "timezone": "Mars/Base"},
    {"device_id": "A", "timezone": "../../etc/passwd"},
    {"device_id": "A", "zone_id": 999},
    {"device_id": "A", "interval_seconds": 0},
    {"device_id": "A", "types": ["weather"]},
    {"device_id": "A", "name": "a\0b"},
    {"device_id": "A", "status": "online"},
]


def test_what_is_no_device_is_refused(api: SqlApi) -> None:
    for body in NO_DEVICES:
        assert refused(api.ask("POST", DEVICES, body), 422)
        assert ids(api) == []


def test_a_refusal_names_the_wrong_value_and_the_known_ones(api: SqlApi) -> None:
    for name, value, told in (("timezone", "Mars/Base", ()), ("zone_id", 999, ()), ("types", ["weather"], ("probe",))):
        errors = api.ask("POST", DEVICES, {"device_id": "A", name: value}).get_json()["errors"]["json"]
        assert errors.keys() == {name}
        assert all(str(part) in errors[name][0] for part in ((*value,) if isinstance(value, list) else (value,)))
        assert all(part in errors[name][0] for part in told)


def test_an_id_is_taken_once(api: SqlApi) -> None:
    add(api, "A")
    assert refused(api.ask("POST", DEVICES, {"device_id": "A"}), 409)


def test_the_history_of_a_device_is_told_newest_first(api: SqlApi) -> None:
    made = add(api, "A")
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    with api.app.app_context():
        for hours, status in enumerate((DeviceStatus.ONLINE, DeviceStatus.OFFLINE, DeviceStatus.ONLINE)):
            record_status(db.session, "A", status, noon + timedelta(hours=hours))
        db.session.commit()
    path = f"{DEVICES}{made['id']}/status-history/"
    history = api.get(path).get_json()["results"]
    assert [change["status"] for change in history] == ["online", "offline", "online"]
    assert history[-1]["at"] == "2026-11-23T12:00:00.000Z"
    assert api.get(path, start_time="2026-11-23T12:30:00Z", end_time="2026-11-23T13:00:00Z").get_json()["count"] == 1
    assert api.good("GET", f"{DEVICES}{made['id']}/")["status"] == "online"
    assert refused(api.get(f"{DEVICES}999/status-history/"), 404)


def test_a_zone_that_goes_leaves_its_devices(api: SqlApi) -> None:
    zone = api.good("POST", ZONES, {"name": "Block A", "description": "feeder 1"}, code=201)
    made = add(api, "A", zone_id=zone["id"])
    one = f"{ZONES}{zone['id']}/"
    assert api.good("GET", one)["devices"] == 1 == api.good("GET", ZONES)["results"][0]["devices"]
    assert api.good("PATCH", one, {"name": "Block B"})["name"] == "Block B"
    api.good("DELETE", one, code=204)
    assert api.good("GET", f"{DEVICES}{made['id']}/")["zone"] is None and refused(api.ask("GET", one), 404)


def test_a_zone_needs_a_name_of_its_own(api: SqlApi) -> None:
    api.good("POST", ZONES, {"name": "A"}, code=201)
    other = api.good("POST", ZONES, {"name": "B"}, code=201)
    assert refused(api.ask("POST", ZONES, {"name": "A"}), 409)
    assert refused(api.ask("PATCH", f"{ZONES}{other['id']}/", {"name": "A"}), 409)
    assert refused(api.ask("POST", ZONES, {"name": ""}), 422)


def test_what_has_not_changed_is_not_sent_again(api: SqlApi) -> None:
    add(api, "A")
    tag = api.ask("GET", DEVICES).headers["ETag"]
    again = api.ask("GET", DEVICES, **{"If-None-Match": tag})
    assert (again.status_code, again.data) == (304, b"")
    add(api, "B")
    assert api.ask("GET", DEVICES, **{"If-None-Match": tag}).status_code == 200


NO_NUMBERS: list[str] = ["0", "-1", "99999999999999999999", "x", "1.5", "%00"]


def test_a_number_that_is_none_is_not_found(api: SqlApi) -> None:
    for number in NO_NUMBERS:
        for path in (DEVICES, ZONES, "/api/users/", "/api/api-keys/"):
            assert refused(api.ask("GET", f"{path}{number}/"), 404)
