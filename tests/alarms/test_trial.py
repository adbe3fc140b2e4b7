"""A trial of a rule says what it would have raised, and writes nothing."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from greenpower.alarms import trial
from greenpower.alarms.rule import AlarmRule
from greenpower.mongo.schema.layout import ALARM_PROGRESS, ALARMS
from greenpower.sql.alarm_rule import StoredAlarmRule
from tests.alarms.test_kinds import add_point, count
from tests.alarms.world import T0, AlarmWorld


@pytest.fixture(autouse=True)
def clock(world: AlarmWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trial, "milliseconds_now", lambda: world.now)


def tried(world: AlarmWorld, rule_id: int, days: float = 1) -> list[tuple[str, datetime | None, datetime | None]]:
    rule = AlarmRule.of(world.session.get_one(StoredAlarmRule, rule_id))
    result = trial.try_rule(
        rule, days, db=world.db, session=world.session, registry=world.registry, settings=world.settings,
        sources=lambda datatype: frozenset({"mqtt"}),
    )  # fmt: skip
    assert world.db[ALARMS].count_documents({}) == world.db[ALARM_PROGRESS].count_documents({}) == 0
    return [(subject.name, item.raised_at, item.ended_at) for subject, item in result.found]


def test_of_values(world: AlarmWorld) -> None:
    rule_id = world.add_rule(since=T0)
    hour = timedelta(hours=1)
    world.store("a", [(T0 - 30 * hour, 99.0), (T0 - 2 * hour, 11.0), (T0 - hour, 9.0), (T0, 12.0)])
    world.now = T0 + hour
    assert tried(world, rule_id) == [("a", T0 - 2 * hour, T0 - hour), ("a", T0, None)]


@pytest.mark.parametrize("kind", ["demand", "budget", "imbalance", "availability"])
def test_of_figures(world: AlarmWorld, kind: str) -> None:
    point = add_point(world, "p", "a")
    add_point(world, "child", "b", role="load", parent_id=point)
    params: dict[str, dict[str, object]] = {
        "demand": {"above": 10.0},
        "budget": {"limit": 1.0, "period": "day"},
        "imbalance": {"hours": 1},
        "availability": {"below": 99.0},
    }
    rule_id = world.add_rule(kind, params[kind], points=[point], since=T0)
    count(world, "a", 12.0, -240, -5)
    count(world, "b", 6.0, -240, -5)
    world.now = T0
    found = tried(world, rule_id)
    assert found and all(raised_at is not None for _, raised_at, _ in found)
