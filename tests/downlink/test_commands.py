"""Commands from the API over the real broker to a meter and back."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from sqlalchemy import update

from greenpower.api.context import get_context, set_context
from greenpower.datatype import Message
from greenpower.downlink.send import UNKNOWN
from greenpower.extensions import db
from greenpower.models import DeviceCommand, DeviceStatus, RoleName
from greenpower.models.clock import now
from tests.api.conftest import refused
from tests.downlink.conftest import World
from tests.process import Command
from tests.wait import wait_until

DONE = ["queued", "sent", "answered", "done"]


def states(found: dict[str, Any]) -> list[str]:
    return [step["state"] for step in found["steps"]]


def silent(*_: Any) -> tuple[Message, ...]:
    return ()


def test_the_clock_is_set_in_the_devices_own_zone(world: World) -> None:
    number, name = world.device()
    world.api.good("PATCH", f"/api/devices/{number}/", {"timezone": "America/Lima"})
    with closing(world.meter(name)) as meter:
        given = world.give(number, "set_time")
        assert (given["state"], given["requested_by"], given["verified"]) == ("queued", "admin", False)
        found = world.until(number, given["id"], "done")
    assert states(found) == DONE and not found["verified"] and "no way to read it back" in found["detail"]
    (told,) = meter.told
    assert told.topic == f"MQTT_SETTIME_{name[-8:]}"
    stamp = datetime.strptime(json.loads(told.payload)["time"], "%Y%m%d%H%M%S").replace(tzinfo=ZoneInfo("America/Lima"))
    assert abs(stamp - now()) < timedelta(seconds=60)
    (event,) = world.db.telemetry_events.find({"device_id": name})
    assert (event["outcome"], event["reason"], event["topic"]) == (
        "noted",
        "answer to a command",
        "MQTT_METER_TIME_REP",
    )
    assert found["steps"][0]["detail"] == "by admin" and found["finished_at"] >= found["created_at"]


def test_an_interval_is_verified_by_reading_back_with_worker_and_scheduler(world: World, tmp_path: Path) -> None:
    number, name = world.device()
    with closing(world.meter(name)) as meter, Command(world.settings, "worker", folder=tmp_path):
        given = world.give(number, "set_energy_interval", interval=30)
        # The worker is told at once; its scheduler does not run here.
        found = world.until(number, given["id"], "done", work=False)
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


def test_what_reads_back_as_something_else_has_failed(world: World) -> None:
    number, name = world.device()

    def stubborn(device_id: str, memory: dict[str, str], told: Message) -> tuple[Message, ...]:
        answers = world.obey(device_id, memory, told)
        memory.clear()
        return answers

    with closing(world.meter(name, stubborn)):
        given = world.give(number, "set_interval", interval=600)
        found = world.until(number, given["id"], "failed")
    assert found["detail"] == "read back: the device says '30', not 600" and not found["verified"]


def test_a_refusal_fails_and_a_second_answer_changes_nothing(world: World) -> None:
    number, name = world.device()

    def refuse(device_id: str, memory: dict[str, str], told: Message) -> tuple[Message, ...]:
        (answer,) = world.obey(device_id, memory, told)
        body = json.loads(answer.payload)
        no = Message(topic=answer.topic, payload=json.dumps({**body, "code": "02", "msg": "busy"}).encode())
        return (no, no, answer)

    with closing(world.meter(name, refuse)):
        given = world.give(number, "set_interval", interval=60)
        found = world.until(number, given["id"], "failed")
        assert found["detail"] == "the device refused: code 02: busy"
        wait_until(lambda: world.db.telemetry_events.count_documents({"device_id": name}) == 3)
        world.work()
    assert world.show(number, given["id"]) == found and len(world.kept(name)) == 1


def test_without_an_answer_it_expires_and_a_late_answer_is_noted(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name, silent)) as meter:
        given = world.give(number, "set_time")
        world.until(number, given["id"], "sent")
        refusal = world.api.ask("POST", f"/api/devices/{number}/commands/", {"command": "set_time"})
        assert refused(refusal, 409), "one at a time"
        overdue(world, given["id"])
        found = world.until(number, given["id"], "expired")
        assert found["detail"] == "no answer in time" and found["finished_at"]
        (answer,) = world.obey(name, {}, wait_until(lambda: meter.told[:1])[0])
        meter.client.publish(answer.topic, answer.payload, qos=1)
        wait_until(lambda: world.kept(name))
        world.work()
        late = world.until(number, given["id"], "expired")
        assert states(late) == [*states(found), "expired"] and "answered late: code 01" in late["steps"][-1]["detail"]
        assert world.give(number, "set_time")["state"] == "queued"


def overdue(world: World, command_id: int) -> None:
    """Let the time of a command be over."""
    with world.app.app_context():
        change = update(DeviceCommand).where(DeviceCommand.id == command_id).values(expires_at=now())
        db.session.execute(change)
        db.session.commit()


def test_what_could_not_be_sent_waits_and_is_never_sent_late(world: World) -> None:
    number, name = world.device()
    away = world.settings.model_copy(update={"mqtt_port": 9})
    with closing(world.meter(name)) as meter:
        given = world.give(number, "set_time")
        assert world.work(away) == 0 and world.show(number, given["id"])["state"] == "queued"
        overdue(world, given["id"])
        found = world.until(number, given["id"], "expired")
        assert found["detail"] == "it could not be sent in time"
        other = world.give(number, "read_interval")
        world.until(number, other["id"], "done")
        assert [message.topic.rpartition("_")[0] for message in meter.told] == ["MQTT_COMMOD_READ"]


def test_a_worker_that_died_after_sending_costs_nothing(world: World) -> None:
    """It has published and could not write that down: the answer shows it. What was only claimed is sent again."""
    number, name = world.device()
    given = world.give(number, "set_time")
    operation = world.column(given["id"], "operation")
    claim(world, given["id"], now())
    with closing(world.meter(name)) as meter:
        assert world.work() == 0, "another worker has it in hand"
        body = {"id": name, "oprid": operation, "code": "01"}
        meter.client.publish("MQTT_METER_TIME_REP", json.dumps(body), qos=1)
        found = world.until(number, given["id"], "done")
        assert states(found) == DONE and not meter.told
        again = world.give(number, "set_time")
        claim(world, again["id"], now() - timedelta(minutes=1))
        assert world.until(number, again["id"], "done") and len(meter.told) == 1


def claim(world: World, command_id: int, at: datetime) -> None:
    with world.app.app_context():
        db.session.execute(update(DeviceCommand).where(DeviceCommand.id == command_id).values(claimed_at=at))
        db.session.commit()


def test_an_answer_of_somebody_else_is_none(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name, silent)) as meter:
        given = world.give(number, "set_time")
        world.until(number, given["id"], "sent")
        operation = world.column(given["id"], "operation")
        for body in (
            {"id": "33B1999999999", "oprid": operation, "code": "01"},
            {"id": name, "oprid": "0" * 32, "code": "01"},
            {"id": name, "oprid": "nobody", "code": "01"},
            {"id": name, "code": "01"},
            {"oprid": operation, "code": "01", "msg": "\ud800"},
        ):
            meter.client.publish("MQTT_METER_TIME_REP", json.dumps(body), qos=1)
        meter.client.publish("MQTT_METER_TIME_REP", b"\xff{", qos=1)
        wait_until(lambda: world.db.telemetry_events.count_documents({"topic": "MQTT_METER_TIME_REP"}) >= 6)
        wait_until(lambda: not world.db.command_answers.count_documents({"taken": False}) or world.work() < 0)
        assert world.show(number, given["id"])["state"] == "sent"
        outcomes = world.db.telemetry_events.distinct("outcome", {"topic": "MQTT_METER_TIME_REP"})
        assert outcomes == ["noted"]
        meter.client.publish("MQTT_METER_TIME_REP", json.dumps({"id": name, "oprid": operation, "code": "01"}), qos=1)
        world.until(number, given["id"], "done")


def test_an_answer_waits_at_the_broker_while_ingest_is_away(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name)) as meter:
        with world.without_ingest():
            given = world.give(number, "set_interval", interval=60)
            world.until(number, given["id"], "sent")
            wait_until(lambda: meter.told)
        assert world.until(number, given["id"], "done")["verified"]


def test_a_relay_is_switched_by_who_confirms_it(world: World) -> None:
    number, name = world.device()
    token = world.api.user("olga", RoleName.OPERATOR)["access"]
    other = world.api.user("omar", RoleName.OPERATOR)["access"]
    path = f"/api/devices/{number}/commands/"
    body = {"command": "relay", "parameters": {"on": True}}
    with closing(world.meter(name)) as meter:
        first = world.give(number, "relay", 202, token, on=True)
        assert first["expires_in"] == 60
        world.work()
        assert world.api.get(path).get_json()["count"] == 0 and not meter.told
        confirmed = {**body, "confirmation": first["confirmation"]}
        for wrong, who in (
            (confirmed, other),
            ({**confirmed, "parameters": {"on": False}}, token),
            ({**body, "confirmation": "x"}, token),
        ):
            assert refused(world.api.ask("POST", path, wrong, token=who), 422)
        given = world.api.good("POST", path, confirmed, code=201, token=token)
        found = world.until(number, given["id"], "done")
        assert found["requested_by"] == "olga" and meter.memory == {"do1": "1"}
        assert refused(world.api.ask("POST", path, confirmed, token=token), 409), "good once"
        assert len(meter.told) == 1


def test_a_relay_is_never_sent_twice(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name)) as meter:
        first = world.give(number, "relay", 202, on=False)
        body = {"command": "relay", "parameters": {"on": False}, "confirmation": first["confirmation"]}
        given = world.api.good("POST", f"/api/devices/{number}/commands/", body, code=201)
        claim(world, given["id"], now() - timedelta(minutes=1))
        found = world.until(number, given["id"], "failed")
        assert found["detail"] == UNKNOWN and not meter.told


def test_an_old_confirmation_is_none(world: World, monkeypatch: Any) -> None:
    number, _ = world.device()
    first = world.give(number, "relay", 202, on=True)
    monkeypatch.setattr("greenpower.downlink.interlock.SECONDS", -1)
    body = {"command": "relay", "parameters": {"on": True}, "confirmation": first["confirmation"]}
    assert refused(world.api.ask("POST", f"/api/devices/{number}/commands/", body), 422)


def test_relays_are_off_until_the_site_lets_them_and_the_device_is_online(world: World) -> None:
    number, _ = world.device(status=DeviceStatus.OFFLINE)
    path, body = f"/api/devices/{number}/commands/", {"command": "relay", "parameters": {"on": True}}
    response = world.api.ask("POST", path, body)
    assert refused(response, 409) and "not online" in response.get_json()["message"]
    number, _ = world.device()
    locked = world.settings.model_copy(update={"downlink_interlocked": "33B1other"})
    with world.app.app_context():
        before = get_context()
        set_context(world.app, replace(before, settings=locked))
    try:
        response = world.api.ask("POST", f"/api/devices/{number}/commands/", body)
        assert refused(response, 409) and "DOWNLINK_INTERLOCKED" in response.get_json()["message"]
    finally:
        set_context(world.app, before)


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
    overdue(world, given["id"])
    world.work()
    (found,) = world.api.get("/api/devices/commands/", device_id=name).get_json()["results"]
    assert found["id"] == given["id"] and found["requested_by"] == "admin" and found["steps"][0]["detail"] == "by admin"
    assert found["state"] == "expired"
