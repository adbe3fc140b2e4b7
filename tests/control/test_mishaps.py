"""Commands that are refused, lost, late or answered by somebody else."""

from __future__ import annotations

import json
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.control.send import EXPIRED_WHILE
from greenpower.datatype import Message, Order
from greenpower.sql.time import now
from tests.api.conftest import refused
from tests.control.conftest import DONE, World, states
from tests.wait import wait_until


def silent(*_: Any) -> tuple[Message, ...]:
    return ()


def test_what_reads_back_as_something_else_has_failed(world: World) -> None:
    number, name = world.device()

    def stubborn(device_id: str, memory: dict[str, str], told: Message) -> tuple[Message, ...]:
        answers = world.obey(device_id, memory, told)
        memory.clear()
        return answers

    with closing(world.meter(name, stubborn)):
        given = world.give(number, "set_interval", interval=600)
        found = world.until(number, given["id"], "failed")
    assert "30" in found["detail"] and "600" in found["detail"] and not found["verified"]


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
        assert all(told in found["detail"] for told in ("02", "busy"))
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
        world.overdue(given["id"])
        found = world.until(number, given["id"], "expired")
        assert found["detail"] == EXPIRED_WHILE["sent"] and found["finished_at"]
        (answer,) = world.obey(name, {}, wait_until(lambda: meter.told[:1])[0])
        meter.client.publish(answer.topic, answer.payload, qos=1)
        wait_until(lambda: world.kept(name))
        world.work()
        late = world.until(number, given["id"], "expired")
        assert states(late) == [*states(found), "expired"] and "code 01" in late["steps"][-1]["detail"]
        assert world.give(number, "set_time")["state"] == "queued"


def test_what_could_not_be_sent_waits_and_is_never_sent_late(world: World) -> None:
    number, name = world.device()
    away = world.settings.model_copy(update={"mqtt_port": 9})
    with closing(world.meter(name)) as meter:
        given = world.give(number, "set_time")
        assert world.work(away) == 0 and world.show(number, given["id"])["state"] == "queued"
        world.overdue(given["id"])
        found = world.until(number, given["id"], "expired")
        assert found["detail"] == EXPIRED_WHILE["queued"]
        other = world.give(number, "read_interval")
        world.until(number, other["id"], "done")
        assert [message.topic.rpartition("_")[0] for message in meter.told] == ["MQTT_COMMOD_READ"]


def test_a_worker_that_died_after_sending_costs_nothing(world: World) -> None:
    """It has published and could not write that down: the answer shows it. What was only claimed is sent again."""
    number, name = world.device()
    given = world.give(number, "set_time")
    operation = world.column(given["id"], "operation")
    world.claim(given["id"], now())
    with closing(world.meter(name)) as meter:
        assert world.work() == 0, "another worker has it in hand"
        body = {"id": name, "oprid": operation, "code": "01"}
        meter.client.publish("MQTT_METER_TIME_REP", json.dumps(body), qos=1)
        found = world.until(number, given["id"], "done")
        assert states(found) == DONE and not meter.told
        again = world.give(number, "set_time")
        world.claim(again["id"], now() - timedelta(minutes=1))
        assert world.until(number, again["id"], "done") and len(meter.told) == 1


def test_what_the_site_no_longer_allows_is_not_sent(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name)) as meter:
        given = world.switch(number, on=True)
        assert world.work(world.settings.model_copy(update={"downlink_interlocked": ""})) == 0
        found = world.until(number, given["id"], "failed")
    assert found["detail"] and not meter.told


def test_a_command_that_cannot_be_built_costs_no_other(world: World) -> None:
    number, name = world.device()
    rt = world.registry["rt"]

    def fail(order: Order) -> Message:
        raise KeyError("interval")

    broken = tuple(replace(item, build=fail) if item.name == "set_interval" else item for item in rt.commands)
    registry = Registry.of(*(replace(item, commands=broken) if item is rt else item for item in world.registry))
    with closing(world.meter(name)):
        bad, good = world.give(number, "set_interval", interval=60), world.give(number, "set_time")
        assert world.work(registry=registry) == 1
        found = world.until(number, bad["id"], "failed")
        assert "KeyError" in found["detail"]
        world.until(number, good["id"], "done")


def test_an_answer_of_somebody_else_is_none(world: World) -> None:
    number, name = world.device()
    with closing(world.meter(name, silent)) as meter:
        given = world.give(number, "set_time")
        world.until(number, given["id"], "sent")
        operation = world.column(given["id"], "operation")
        before = world.db.telemetry_events.count_documents({"topic": "MQTT_METER_TIME_REP"})
        for body in (
            {"id": "33B1999999999", "oprid": operation, "code": "01"},
            {"id": name, "oprid": "0" * 32, "code": "01"},
            {"id": name, "oprid": "nobody", "code": "01"},
            {"id": name, "code": "01"},
            {"oprid": operation, "code": "01", "msg": "\ud800"},
        ):
            meter.client.publish("MQTT_METER_TIME_REP", json.dumps(body), qos=1)
        meter.client.publish("MQTT_METER_TIME_REP", b"\xff{", qos=1)
        wait_until(lambda: world.db.telemetry_events.count_documents({"topic": "MQTT_METER_TIME_REP"}) == before + 6)
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
