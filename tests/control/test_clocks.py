"""Wrong clocks are set by themselves where the site wants it; and simulated meters take commands."""

from __future__ import annotations

import json
from contextlib import closing
from datetime import timedelta
from pathlib import Path

from sqlalchemy import update

from greenpower.config import Settings
from greenpower.control.clock_sync import sync_clocks
from greenpower.simulator.fleet import make_fleet
from greenpower.sql import Device, DeviceCommand, DeviceStatus, DeviceType
from greenpower.sql.extensions import db
from greenpower.sql.session import sql_session
from greenpower.sql.time import now
from tests.control.conftest import World
from tests.ingest.conftest import Publisher, frame
from tests.process import Command
from tests.wait import wait_until


def sync(world: World) -> int:
    with sql_session(world.settings) as session:
        return sync_clocks(session, world.db, world.registry, world.settings)


def test_it_is_off_by_default() -> None:
    assert not Settings.model_fields["downlink_time_sync"].default


def test_a_wrong_clock_is_set_once_in_a_while(world: World) -> None:
    wrong, name = world.device()
    right, other = world.device()
    offline, silent = world.device(status=DeviceStatus.OFFLINE)
    publisher = Publisher(world.settings.mqtt_broker, world.settings.mqtt_port)
    past = now() - timedelta(days=7_000)
    with closing(publisher), closing(world.meter(name)) as meter:
        for device, time in ((name, past), (silent, past), (other, now())):
            publisher.send("MQTT_RT_DATA", frame(device, time))
        publisher.flush()
        stored = {"device_id": {"$in": [name, other, silent]}, "outcome": "stored"}
        wait_until(lambda: world.db.telemetry_events.count_documents(stored) == 3)
        assert sync(world) == 1 and sync(world) == 0
        (given,) = world.api.get("/api/devices/commands/", requested_by="system").get_json()["results"]
        assert (given["device_id"], given["command"]) == (name, "set_time")
        world.until(wrong, given["id"], "done")
        assert len(meter.told) == 1 and sync(world) == 0, "it was told lately"
        yesterday(world)
        assert sync(world) == 1, "it is as wrong as before, and a day is over"
        yesterday(world)
        world.work()
        publisher.send("MQTT_RT_DATA", frame(name, now()))
        publisher.flush()
        wait_until(lambda: world.db.telemetry_events.count_documents(stored) == 4)
        assert sync(world) == 0, "its clock is right now"
    assert world.api.get(f"/api/devices/{right}/commands/").get_json()["count"] == 0
    assert world.api.get(f"/api/devices/{offline}/commands/").get_json()["count"] == 0


def yesterday(world: World) -> None:
    """All commands were given a day earlier."""
    with world.app.app_context():
        past = now() - timedelta(hours=25)
        db.session.execute(update(DeviceCommand).values(created_at=past, expires_at=past))
        db.session.commit()
    world.work()


def test_simulated_meters_do_as_they_are_told(world: World, tmp_path: Path) -> None:
    (device,) = make_fleet([world.registry["rt"]], 1, 7, world.settings.device_zone).devices
    with world.app.app_context():
        row = Device(device_id=device.device_id, status="online", types=[DeviceType(type="rt")])
        db.session.add(row)
        db.session.commit()
        number = row.id
    args = ("simulate", "--type", "rt", "--devices", "1", "--seed", "7", "--rate", "1")
    with Command(world.settings, *args, folder=tmp_path):
        wait_until(lambda: world.db.telemetry_events.count_documents({"device_id": device.device_id}), 20)
        given = world.give(number, "set_interval", interval=300)
        assert world.until(number, given["id"], "done")["verified"]
    told = json.loads(world.column(given["id"], "payload"))
    assert told["value"] == "300"
