"""What is passed on of alarms: to dashboards, and to people; told again after a process was killed in between."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
import redis

from greenpower.alarms import tell as tell_module
from greenpower.alarms.subject import device_subject
from greenpower.alarms.tell import tell
from greenpower.alarms.wanted import mark_wanted
from greenpower.bus.keys import ALARM_CHANNEL, ALARMS_WANTED
from greenpower.mongo.alarms.store import acknowledge_alarm
from greenpower.mongo.schema.layout import ALARMS, NOTIFICATIONS
from greenpower.sql.alarm_rule import AlarmSilence, StoredAlarmRule
from tests.alarms.one_alarm import raised_alarm
from tests.alarms.world import T0, AlarmWorld


class Channel:
    """A Redis that notes what is published."""

    def __init__(self) -> None:
        self.events: list[dict[str, Any]] = []

    def publish(self, channel: str, message: bytes) -> None:
        assert channel == ALARM_CHANNEL
        self.events += json.loads(message)

    def set(self, *_: Any, **__: Any) -> None:
        """Nobody is woken."""


@pytest.fixture
def told(world: AlarmWorld) -> Channel:
    world.db[NOTIFICATIONS].delete_many({})
    return Channel()


def notices(world: AlarmWorld) -> list[str]:
    return [item["subject"] for item in world.db[NOTIFICATIONS].find().sort([("created_at", 1), ("key", 1)])]


def test_each_transition_is_told_once_on_each_channel(world: AlarmWorld, told: Channel) -> None:
    alarm = raised_alarm(device_subject("t", "d"), T0, channels=[1, 2])
    world.db[ALARMS].insert_one(alarm)
    assert tell(world.db, told, T0) == 1  # type: ignore[arg-type]
    assert tell(world.db, told, T0) == 0  # type: ignore[arg-type]
    assert acknowledge_alarm(world.db[ALARMS], alarm["_id"], "ada", "seen", None)
    assert tell(world.db, told, T0 + timedelta(1)) == 1  # type: ignore[arg-type]
    assert [event["event"] for event in told.events] == ["raised", "acknowledged"]
    assert [event["id"] for event in told.events] == [f"{alarm['_id']}-1", f"{alarm['_id']}-2"]
    assert notices(world) == ["rule: d raised"] * 2 + ["rule: d acknowledged"] * 2


def test_one_that_was_killed_tells_again_and_people_hear_it_once(
    world: AlarmWorld, told: Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.db[ALARMS].insert_one(raised_alarm(device_subject("t", "d"), T0, channels=[1]))

    def kill(*_: Any) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(tell_module, "note_told", kill)
        with pytest.raises(InterruptedError):
            tell(world.db, told, T0)  # type: ignore[arg-type]
    tell(world.db, told, T0)  # type: ignore[arg-type]
    assert len(told.events) == 2 and len({event["id"] for event in told.events}) == 1
    assert notices(world) == ["rule: d raised"]


def test_of_a_silenced_alarm_people_hear_when_the_silence_ends(world: AlarmWorld, told: Channel) -> None:
    rule_id = world.add_rule(channels=[5])
    world.session.add(AlarmSilence(rule_id=rule_id, begins_at=T0, ends_at=T0 + timedelta(minutes=5)))
    world.session.commit()
    world.store("a", [(T0 + timedelta(seconds=1), 11.0)])
    world.round()
    tell(world.db, told, world.now)  # type: ignore[arg-type]
    assert [(event["event"], event["silent"]) for event in told.events] == [("raised", True)] and not notices(world)
    world.round(300)
    tell(world.db, told, world.now)  # type: ignore[arg-type]
    assert [(event["event"], event["silent"]) for event in told.events][1:] == [("raised", False)]
    assert len(notices(world)) == 1


def test_nothing_runs_without_a_rule_or_an_alarm(world: AlarmWorld, redis_url: str) -> None:
    with redis.Redis.from_url(redis_url) as client:
        assert not mark_wanted(world.session, world.db, client) and not client.exists(ALARMS_WANTED)
        rule_id = world.add_rule()
        assert mark_wanted(world.session, world.db, client) and client.exists(ALARMS_WANTED)
        world.store("a", [(T0, 11.0)])
        world.round()
        world.session.delete(world.session.get_one(StoredAlarmRule, rule_id))
        world.session.commit()
        assert mark_wanted(world.session, world.db, client)  # its alarm is still open
        world.round()
        tell(world.db, client, world.now)
        assert not mark_wanted(world.session, world.db, client) and not client.exists(ALARMS_WANTED)
