"""Commands from the API over the real broker to a meter and back."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

from greenpower.datatype.command import NOTED
from greenpower.sql.time import now
from tests.api.conftest import refused
from tests.control.conftest import DONE, World, states
from tests.process import Command


def test_the_clock_is_set_in_the_devices_own_zone(world: World) -> None:
    number, name = world.device()
    world.api.good("PATCH", f"/api/devices/{number}/", {"timezone": "America/Lima"})
    with closing(world.meter(name)) as meter:
        given = world.give(number, "set_time")
        assert (given["state"], given["requested_by"], given["verified"]) == ("queued", "admin", False)
        found = world.until(number, given["id"], "done")
    assert states(found) == DONE and not found["verified"] and found["detail"]
    (told,) = meter.told
    assert told.topic == f"MQTT_SETTIME_{name[-8:]}"
    stamp = datetime.strptime(json.loads(told.payload)["time"], "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo("America/Lima"))
    assert abs(stamp - now()) < timedelta(seconds=60)
    (event,) = world.db.telemetry_events.find({"device_id": name})
    assert (event["outcome"], event["reason"], event["topic"]) == (
        "noted",
        NOTED,
        "MQTT_METER_TIME_REP",
    )
    assert "admin" in found["steps"][0]["detail"].split() and found["finished_at"] >= found["created_at"]


def test_an_interval_is_verified_by_reading_back_with_worker_and_scheduler(world: World, tmp_path: Path) -> None:
    number, name = world.device()
    with closing(world.meter(name)) as meter, Command(world.settings, "worker", folder=tmp_path) as worker:
        given = world.give(number, "set_energy_interval", interval=30)
        # The worker is told at once; its scheduler does not run here.
        found = world.until(number, given["id"], "done", work=False)
        # Stopped, not killed: the process of its job would live on, and send what the next tests queue.
        assert worker.stop() == 0
    assert states(found) == ["queued", "sent", "answered", "answered", "verified", "done"]
    assert found["verified"] and found["verified_at"] is not None
    written, read = (json.loads(message.payload) for message in meter.told)
    assert {key: written[key] for key in ("Cmd", "value", "types")} == {"Cmd": "0001", "value": "30", "types": "1"}
    assert read["Cmd"] == "0001" and read["oprid"] != written["oprid"]


def test_an_interval_is_read(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name)):
        given = world.give(number, "read_interval")
        found = world.until(number, given["id"], "done")
    assert found["answer"]["value"] == "30"


def test_who_may_and_what_there_is(world: World) -> None:
    number, _ = world.device()
    path = f"/api/devices/{number}/commands/"
    viewer = world.api.user("vera")["access"]
    assert refused(world.api.ask("POST", path, {"command": "set_time"}, token=viewer), 403)
    assert world.api.good("GET", path, token=viewer)["count"] == 0
    for body in (
        {"command": "explode"},
        {"command": "set_interval"},
        {"command": "set_interval", "parameters": {"interval": 31}},
        {"command": "set_interval", "parameters": {"interval": True}},
        {"command": "set_interval", "parameters": {"interval": 60, "more": 1}},
    ):
        assert refused(world.api.ask("POST", path, body), 422)
    stranger, _ = world.device("environment")
    assert refused(world.api.ask("POST", f"/api/devices/{stranger}/commands/", {"command": "set_time"}), 422)
    assert refused(world.api.ask("POST", "/api/devices/999999/commands/", {"command": "set_time"}), 404)
    given = world.give(number, "set_time")
    assert refused(world.api.ask("GET", f"/api/devices/{stranger}/commands/{given['id']}/"), 404)
    key = world.api.good("POST", "/api/api-keys/", {"name": "robot", "scopes": ["devices:write"]}, code=201)["key"]
    robot = world.api.client.post("/api/api-keys/token/", json={"key": key}).get_json()["access"]
    assert refused(world.api.ask("POST", path, {"command": "relay", "parameters": {"on": True}}, token=robot), 403)


def test_the_audit_outlives_the_device(world: World) -> None:
    number, name = world.device()
    given = world.give(number, "set_time")
    world.api.good("DELETE", f"/api/devices/{number}/", code=204)
    world.overdue(given["id"])
    world.work()
    (found,) = world.api.get("/api/devices/commands/", device_id=name).get_json()["results"]
    assert (
        found["id"] == given["id"]
        and found["requested_by"] == "admin"
        and "admin" in found["steps"][0]["detail"].split()
    )
    assert found["state"] == "expired"
