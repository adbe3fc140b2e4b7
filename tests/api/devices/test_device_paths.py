"""Paths of devices take the number in the registry and the id that a device sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from greenpower.sql import Device
from greenpower.sql.extensions import db
from tests.api.conftest import Api

IDS = ["33B1225950027", "1001", "a b", "commands", "a/b", "50%", "device_id:7", "Zähler-1", "x,y"]
VIEWS = ["", "status-history/", "incidents/", "corrections/", "commands/", "meter-exchanges/"]


@pytest.fixture(scope="module")
def numbers(shared_api: Api) -> Iterator[dict[str, int]]:
    with shared_api.app.app_context():
        db.session.add_all(Device(device_id=name) for name in IDS)
        db.session.commit()
        found = {device.device_id: device.id for device in db.session.query(Device)}
    yield found
    with shared_api.app.app_context():
        db.session.query(Device).delete()
        db.session.commit()


def path_of(name: str) -> str:
    """As the documentation says."""
    if name.isdigit() or name == "commands" or "/" in name or name.startswith("device_id:"):
        name = "device_id:" + quote(name, safe="")
    return f"/api/devices/{quote(name, safe='')}/"


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("name", IDS)
def test_the_id_that_a_device_sends_is_as_good_as_its_number(
    shared_api: Api, numbers: dict[str, int], name: str, view: str
) -> None:
    by_id = shared_api.get(path_of(name) + view)
    by_number = shared_api.get(f"/api/devices/{numbers[name]}/{view}")
    assert by_id.status_code == by_number.status_code == 200, by_id.text
    assert by_id.get_json().get("results") == by_number.get_json().get("results")
    if not view:
        assert by_id.get_json() == by_number.get_json() and by_id.get_json()["device_id"] == name


def test_writes_take_it_too(shared_api: Api, numbers: dict[str, int]) -> None:
    headers = {"Authorization": f"Bearer {shared_api.tokens['access']}"}
    path = path_of("33B1225950027")
    changed = shared_api.client.patch(path, json={"name": "Main"}, headers=headers)
    assert changed.status_code == 200 and changed.get_json()["id"] == numbers["33B1225950027"]
    assert shared_api.client.delete(path_of("x,y"), headers=headers).status_code == 204
    assert shared_api.get(path_of("x,y")).status_code == 404


@pytest.mark.parametrize(
    "given", ["nobody", "0", "99999999999999999999", "device_id:1", "%00", "device_id:", "$x", "%20"]
)
def test_what_there_is_not(shared_api: Api, numbers: dict[str, int], given: str) -> None:
    for view in VIEWS:
        response = shared_api.get(f"/api/devices/{given}/{view}")
        assert response.status_code == 404 and response.get_json()["code"] == 404
    assert "nobody" in shared_api.get("/api/devices/nobody/").get_json()["message"]


def test_other_paths_stay_what_they_are(shared_api: Api, numbers: dict[str, int]) -> None:
    assert "results" in shared_api.get("/api/devices/commands/").get_json()
    headers = {"Authorization": f"Bearer {shared_api.tokens['access']}"}
    assert shared_api.client.delete("/api/devices/commands/", headers=headers).status_code == 405
    assert shared_api.client.get(path_of("1001")).status_code == 401


def test_one_name_for_the_zone(shared_api: Api, numbers: dict[str, int]) -> None:
    headers: dict[str, Any] = {"Authorization": f"Bearer {shared_api.tokens['access']}"}
    zone = shared_api.client.post("/api/service-zones/", json={"name": "Paths"}, headers=headers).get_json()["id"]
    path = path_of("a b")
    changed = shared_api.client.patch(path, json={"zone_id": zone}, headers=headers).get_json()
    assert changed["zone_id"] == zone == changed["zone"]["id"]
    listed = shared_api.get("/api/devices/", zone_id=zone).get_json()["results"]
    assert [row["zone_id"] for row in listed] == [zone]
    shared_api.client.delete(f"/api/service-zones/{zone}/", headers=headers)
    assert shared_api.get(path).get_json()["zone_id"] is None
