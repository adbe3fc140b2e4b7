"""Devices and service zones, on SQLite and on PostgreSQL."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import func, select

from greenpower.api.devices import unconfirmed
from greenpower.api.http.context import get_context, set_context
from greenpower.config import Settings
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, SEEN
from greenpower.sql import AuditEntry, DeviceStatus
from greenpower.sql.confirmation import add_heard
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


def test_a_greatest_power_is_set_changed_and_taken_away(api: SqlApi) -> None:
    made = add(api, "A", greatest_power=50)
    one = f"{DEVICES}{made['id']}/"
    assert made["greatest_power"] == 50 and read_powers(api.database) == {"A": 50}
    assert api.get(DEVICES).get_json()["results"][0]["greatest_power"] == 50
    for power in (0.5, 100_000_000, 12.75):
        assert api.good("PATCH", one, {"greatest_power": power})["greatest_power"] == power
        assert read_powers(api.database, ["A", "B"]) == {"A": power} and read_powers(api.database, ["B"]) == {}
    assert api.good("PATCH", one, {"name": "Main"})["greatest_power"] == 12.75
    assert api.good("PATCH", one, {"greatest_power": None})["greatest_power"] is None
    assert read_powers(api.database) == {}
    api.good("PATCH", one, {"greatest_power": 7})
    api.good("DELETE", one, code=204)
    assert read_powers(api.database) == {}


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
    {"device_id": "A", "greatest_power": 0},
    {"device_id": "A", "greatest_power": -5},
    {"device_id": "A", "greatest_power": 100_000_001},
    {"device_id": "A", "greatest_power": "50"},
    {"device_id": "A", "greatest_power": True},
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


def add_unconfirmed_devices(api: SqlApi, *device_ids: str) -> None:
    with api.app.app_context():
        add_heard(db.session, {device_id: ["probe"] for device_id in device_ids})


def test_what_a_person_registers_or_changes_is_confirmed(api: SqlApi) -> None:
    made = add(api, "OWN")
    assert made["confirmed_at"] is not None and made["confirmed_by"] == "admin"
    add_unconfirmed_devices(api, "HEARD")
    [heard] = api.get(DEVICES, confirmed="false").get_json()["results"]
    assert (heard["device_id"], heard["confirmed_at"], heard["confirmed_by"]) == ("HEARD", None, None)
    changed = api.good("PATCH", f"{DEVICES}{heard['id']}/", {"name": "Main"})
    assert changed["confirmed_at"] is not None and changed["confirmed_by"] == "admin"
    document = api.database[DEVICE_SETTINGS].find_one({"_id": "HEARD"})
    assert document is not None and document["confirmed"] is True
    again = api.good("PATCH", f"{DEVICES}{heard['id']}/", {"name": "Mains"})
    assert again["confirmed_at"] == changed["confirmed_at"]


@pytest.mark.parametrize("policy", ["open", "confirm", "registered"])
def test_unconfirmed_devices_are_listed_as_the_policy_wants(api: SqlApi, policy: str) -> None:
    add(api, "OWN")
    add_unconfirmed_devices(api, "HEARD")
    with api.app.app_context():
        context = get_context()
    using = context.settings.model_copy(update={"device_policy": policy})
    set_context(api.app, replace(context, settings=using))
    assert ids(api) == (["OWN"] if policy == "confirm" else ["HEARD", "OWN"])
    assert ids(api, confirmed="all") == ["HEARD", "OWN"] and ids(api, confirmed="true") == ["OWN"]
    assert ids(api, confirmed="false") == ids(api, device_id="HEARD") == ["HEARD"]
    assert refused(api.get(DEVICES, confirmed="maybe"), 422)


def test_devices_are_confirmed_many_at_once(api: SqlApi) -> None:
    add_unconfirmed_devices(api, "A", "B", "C")
    wanted = {"device_ids": ["A", "B", "B", "NONE"]}
    assert api.good("POST", f"{DEVICES}confirm/", wanted) == {"confirmed": 2, "missing": ["NONE"]}
    assert api.good("POST", f"{DEVICES}confirm/", wanted) == {"confirmed": 0, "missing": ["NONE"]}
    assert ids(api, confirmed="false") == ["C"]
    stored = {document["_id"]: document["confirmed"] for document in api.database[DEVICE_SETTINGS].find()}
    assert stored == {"A": True, "B": True}
    bad: dict[str, Any]
    for bad in ({}, {"device_ids": []}, {"device_ids": [""]}, {"device_ids": ["A"] * 1001}, {"device_ids": [1]}):
        assert refused(api.ask("POST", f"{DEVICES}confirm/", bad), 422)
    with api.app.app_context():
        entries = db.session.scalars(select(AuditEntry).where(AuditEntry.object_type == "device")).all()
        assert [(entry.actor, entry.action, entry.object_name, entry.after) for entry in entries] == [
            ("admin", "change", device_id, {"confirmed_by": "admin"}) for device_id in ("A", "B")
        ]


def test_unconfirmed_devices_are_deleted_many_at_once(api: SqlApi, monkeypatch: pytest.MonkeyPatch) -> None:
    add(api, "XOWN", types=["probe"])
    add_unconfirmed_devices(api, *(f"X{number}" for number in range(7)), "Y")
    for device_id in ("X1", "Y", "XOWN"):
        now = datetime.now(UTC)
        document = {"type": "probe", "device_id": device_id, "first_seen": now, "last_heard": now}
        api.database[SEEN].insert_one({"_id": f"probe|{device_id}", **document})
    monkeypatch.setattr(unconfirmed, "MAX_DELETED_PER_REQUEST", 5)
    path = f"{DEVICES}unconfirmed/"
    assert api.ask("DELETE", f"{path}?prefix=X").get_json() == {"deleted": 5, "remaining": 3}
    assert api.ask("DELETE", f"{path}?prefix=X&type=probe").get_json() == {"deleted": 2, "remaining": 1}
    assert api.ask("DELETE", f"{path}?type=silent").get_json() == {"deleted": 0, "remaining": 1}
    assert ids(api) == ["XOWN", "Y"]
    assert {document["device_id"] for document in api.database[SEEN].find()} == {"XOWN", "Y"}
    gone = api.database[DEVICE_SETTINGS].find({"registered": False}).distinct("_id")
    assert gone == [f"X{number}" for number in range(7)]
    with api.app.app_context():
        deleted = select(func.count()).where(AuditEntry.action == "delete", AuditEntry.object_type == "device")
        assert db.session.scalar(deleted) == 7
    assert api.ask("DELETE", path).get_json() == {"deleted": 1, "remaining": 0} and ids(api) == ["XOWN"]
