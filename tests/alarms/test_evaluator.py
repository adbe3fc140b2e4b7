"""Rounds of the evaluator on a database: readings, rounds that were cut off, late readings, silences, broken rules."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.alarms import evaluator as evaluator_module
from greenpower.mongo.alarms.document import AlarmState
from greenpower.mongo.alarms.find import find_since_round
from greenpower.mongo.alarms.progress import RoundLostError
from greenpower.mongo.alarms.store import write_changes
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS
from greenpower.sql.alarm_rule import AlarmSilence, StoredAlarmRule
from tests.alarms.plain_alarms import PlainAlarm, plain_alarms
from tests.alarms.test_machine import random_series
from tests.alarms.world import T0, AlarmWorld
from tests.rollups.world import POWER


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_a_value_beyond_the_limit_is_raised_and_cleared_once(world: AlarmWorld) -> None:
    world.add_rule()
    world.round()
    world.store("a", [(world.now, 10.0)])
    world.round()
    assert world.alarms() == []
    raised_at = world.now
    world.store("a", [(raised_at, 10.5)])
    result = world.round()
    assert (result.readings, result.changes, result.lag) == (1, 1, 10.0)
    [alarm] = world.alarms()
    assert (alarm["state"], alarm["raised_at"], alarm["value"], alarm["late"]) == ("active", raised_at, 10.5, False)
    assert (alarm["device_id"], alarm["subject"], alarm["severity"]) == ("a", f"{POWER.name}|a", "warning")
    for _ in range(3):
        world.store("a", [(world.now, 11.0)])
        world.round()
    world.store("a", [(world.now, 10.0)])
    world.round()
    world.round(300)  # the second look
    assert world.steps() == [["raised", "cleared"]]


@pytest.mark.parametrize("for_s", [0, 300])
def test_random_series_of_many_devices_in_rounds_give_what_plain_recomputation_gives(
    world: AlarmWorld, for_s: int
) -> None:
    random_ = random.Random(for_s)
    limits = {"above": 10.0, "below": 0.0, "hysteresis": 2.0}
    world.add_rule(params={"field": "g", **limits}, for_s=for_s)
    series = {f"d{number}": random_series(random_, 80) for number in range(12)}
    places = dict.fromkeys(series, 0)
    world.round()
    while any(places[name] < len(values) for name, values in series.items()):
        for name, values in series.items():
            size = random_.choice((0, 1, 2, 10))
            world.store(name, values[places[name] : places[name] + size])
            places[name] += size
        if random_.random() < 0.3:
            cut_off(world, random_.choice(("save_times", "save_positions", "finish_round")))
        world.round(random_.choice((10, 200)))
    found: dict[str, list[PlainAlarm]] = {name: [] for name in series}
    for item in world.alarms(raised_at={"$ne": None}):
        found[item["device_id"]].append(PlainAlarm(item["begin"], item["raised_at"], item["value"], item["cleared_at"]))
    assert found == {name: plain_alarms(values, **limits, for_s=for_s) for name, values in series.items()}
    for steps in world.steps(raised_at={"$ne": None}):
        assert [step for step in steps if step != "pending"] in (["raised"], ["raised", "cleared"])


class CutOffError(Exception):
    """The process was killed here."""


def cut_off(world: AlarmWorld, where: str) -> None:
    """A round that is killed before one of its writes."""

    def kill(*_: Any) -> None:
        raise CutOffError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator_module, where, kill)
        with suppress(CutOffError):  # a round that has nothing to write there goes through
            world.round()


@pytest.mark.parametrize("where", ["save_times", "save_positions", "finish_round"])
def test_a_round_that_was_cut_off_is_done_again_and_told_once(world: AlarmWorld, where: str) -> None:
    world.add_rule()
    world.round()
    world.store("a", [(at(20), 11.0)])
    cut_off(world, where)
    world.store("a", [(at(30), 9.0), (at(40), 12.0)])
    cut_off(world, where)
    world.store("a", [(at(50), 13.0), (at(60), 1.0)])
    cut_off(world, where)
    assert find_since_round(world.db[ALARMS], 1)
    world.round()
    assert world.steps() == [["raised", "cleared"]] * 2
    assert [alarm["begin"] for alarm in world.alarms()] == [at(20), at(40)]


def test_two_processes_in_one_round_raise_once(world: AlarmWorld) -> None:
    world.add_rule()
    world.round()
    world.store("a", [(world.now, 11.0)])
    first, second = world.evaluator(), world.evaluator()
    original: Callable[..., Any] = write_changes

    def overtaken(*arguments: Any) -> int:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(evaluator_module, "write_changes", original)
            world.now += timedelta(seconds=10)
            second.run()
        done: int = original(*arguments)
        return done

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(evaluator_module, "write_changes", overtaken)
        with pytest.raises(RoundLostError):
            first.run()
    world.round()
    assert world.steps() == [["raised"]]


def test_a_late_reading_is_told_as_late_at_its_own_time(world: AlarmWorld) -> None:
    world.add_rule()
    world.round()
    world.store("a", [(at(0), 1.0), (at(600), 2.0), (at(1200), 3.0)])
    world.round(1300)
    assert world.alarms() == []
    world.store("a", [(at(300), 50.0)], at=world.now)
    world.round()
    [alarm] = world.alarms()
    assert (alarm["late"], alarm["state"]) == (True, AlarmState.CLEARED)
    assert (alarm["raised_at"], alarm["cleared_at"], alarm["value"]) == (at(300), at(600), 50.0)
    world.round(300)
    assert world.steps() == [["raised", "cleared"]]


def test_a_backlog_in_order_is_told_as_late(world: AlarmWorld) -> None:
    world.add_rule()
    world.round(7_200)
    world.store("a", [(at(300), 50.0), (at(600), 1.0), (at(7_100), 60.0)], at=world.now)
    world.round()
    assert [(alarm["late"], alarm["raised_at"]) for alarm in world.alarms()] == [(True, at(300)), (False, at(7_100))]


def test_a_late_reading_within_an_alarm_that_was_told_changes_nothing(world: AlarmWorld) -> None:
    world.add_rule()
    world.round()
    world.store("a", [(at(0), 11.0), (at(600), 1.0)])
    world.round(700)
    world.store("a", [(at(300), 50.0)], at=world.now)
    world.round()
    assert world.steps() == [["raised", "cleared"]]
    assert world.alarms()[0]["value"] == 11.0


def test_a_slow_writer_is_not_missed(world: AlarmWorld) -> None:
    """A reading whose stamp is older than what was read by then appears later."""
    world.add_rule()
    world.store("a", [(at(5), 1.0)])
    stamped = world.now
    world.round(60)
    now, world.now = world.now, stamped - timedelta(milliseconds=1)
    world.store("a", [(at(4), 20.0)])
    world.store("b", [(at(4), 20.0)])
    world.now = now
    world.round()
    assert world.alarms() == []
    world.round(world.settings.changes_horizon_seconds)
    assert sorted(alarm["device_id"] for alarm in world.alarms()) == ["a", "b"]


def test_a_delay_goes_through_pending_and_a_short_one_leaves_nothing(world: AlarmWorld) -> None:
    world.add_rule(for_s=60)
    world.round()
    world.store("a", [(at(0), 11.0)])
    world.store("b", [(at(0), 11.0)])
    world.round()
    assert [alarm["state"] for alarm in world.alarms()] == ["pending", "pending"]
    world.store("a", [(at(60), 12.0)])
    world.store("b", [(at(59), 1.0)])
    world.round(60)
    [alarm] = world.alarms()
    assert (alarm["state"], alarm["begin"], alarm["raised_at"], alarm["value"]) == ("active", at(0), at(60), 12.0)
    assert world.steps() == [["pending", "raised"]]


def test_a_rule_judges_readings_from_when_it_was_made(world: AlarmWorld) -> None:
    world.store("a", [(at(0), 99.0)])
    world.now = at(60)
    world.add_rule(since=world.now)
    world.round()
    world.store("a", [(at(30), 99.0)], at=world.now)
    world.round()
    assert world.alarms() == []


def test_devices_and_zones_limit_a_rule(world: AlarmWorld) -> None:
    world.add_device("a")
    world.add_rule(devices=["b"])
    world.round()
    for device in ("a", "b"):
        world.store(device, [(at(1), 11.0)])
    world.round()
    assert [alarm["device_id"] for alarm in world.alarms()] == ["b"]


def test_a_rule_that_cannot_be_judged_says_so_and_stops_no_other(world: AlarmWorld) -> None:
    field = world.add_rule(params={"field": "nothing", "above": 1})
    zone = world.add_rule(zone_id=77)
    point = world.add_rule("imbalance", {}, points=[5])
    kind = world.add_rule("unheard of", {})
    params = world.add_rule(params={"field": "g"})
    good = world.add_rule()
    world.store("a", [(at(1), 11.0)])
    assert world.round().problems == 5
    assert "nothing" in world.problem(field) and "77" in world.problem(zone) and "5" in world.problem(point)
    assert "unheard of" in world.problem(kind) and "above" in world.problem(params)
    assert world.problem(good) == ""
    assert [alarm["rule_id"] for alarm in world.alarms()] == [good]


@pytest.mark.parametrize("gone", ["rule", "disabled", "subject"])
def test_an_alarm_ends_with_its_rule_or_subject(world: AlarmWorld, gone: str) -> None:
    world.add_device("a")
    rule_id = world.add_rule()
    world.store("a", [(at(1), 11.0)])
    world.round()
    rule = world.session.get(StoredAlarmRule, rule_id)
    assert rule is not None
    if gone == "rule":
        world.session.delete(rule)
    elif gone == "disabled":
        rule.enabled = False
    else:
        rule.devices = ["other"]
    world.session.commit()
    world.round()
    [alarm] = world.alarms()
    assert alarm["state"] == AlarmState.CLEARED
    assert alarm["cleared_reason"] == ("subject_gone" if gone == "subject" else "rule_gone")
    assert world.db[ALARM_PROGRESS].count_documents({"rule_id": rule_id}) == 0 or gone == "subject"


def test_a_silence_keeps_people_out_of_it_until_it_is_over(world: AlarmWorld) -> None:
    rule_id = world.add_rule()
    silence = AlarmSilence(rule_id=rule_id, subject=f"{POWER.name}|a", begins_at=at(0), ends_at=at(100))
    world.session.add(silence)
    world.session.commit()
    for device in ("a", "b", "c"):
        world.store(device, [(at(1), 11.0)])
    world.round()
    silent = {alarm["device_id"]: alarm["silence_id"] for alarm in world.alarms()}
    assert silent == {"a": silence.id, "b": None, "c": None}
    assert [item["silent"] for item in world.alarms(device_id="a")[0]["transitions"]] == [True]
    world.round(100)
    world.round()
    world.store("a", [(at(130), 1.0)])
    world.round()
    [alarm] = world.alarms(device_id="a")
    told = [(item["step"], item["silent"]) for item in alarm["transitions"]]
    assert told == [("raised", True), ("unsilenced", False), ("cleared", False)]
