"""Runs of tiers over the small world: in order, late, after downtime, beside themselves."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.datatype import DataType
from tests.jobs.conftest import T0
from tests.jobs.world import ENERGY, POWER, World

MINUTE = timedelta(minutes=1)


def readings(seed: int, begin: datetime, count: int, step: timedelta) -> list[Any]:
    """A faulty device's readings: gaps, missing fields, dips, resets, spikes, roll-overs, undeclared fields."""
    rng = random.Random(seed)
    made = []
    c, d = round(rng.uniform(0, 9000), 3), rng.randrange(9_000, 10_000)
    time = begin
    for _ in range(count):
        time += step * (1 if rng.random() < 0.97 else rng.randrange(2, 9))
        c = round(c + rng.uniform(0, 0.4), 3)
        d = (d + rng.randrange(0, 9)) % 10_000
        if rng.random() < 0.005:
            c = round(rng.uniform(0, 1), 3)
        shown_c: float = c
        if rng.random() < 0.01:
            shown_c = 0
        elif rng.random() < 0.005:
            shown_c = c + 1e6
        payload: dict[str, Any] = {
            "g": round(rng.uniform(-5, 5), 4),
            "a": round(rng.uniform(0, 360), 2),
            "s": rng.randrange(100),
            "c": shown_c,
            "d": 0 if rng.random() < 0.01 else d,
            "x": rng.random(),
        }
        if rng.random() < 0.05:
            payload = {"g": payload["g"]}
        elif rng.random() < 0.03:
            del payload["c"]
        made.append((time + timedelta(milliseconds=rng.randrange(0, 999)), payload))
    return made


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
def test_everything_at_once_equals_the_plain_recomputation(world: World, datatype: DataType) -> None:
    for number in range(3):
        world.store(datatype, f"d{number}", readings(number, T0, 300, MINUTE))
    world.now = T0 + timedelta(hours=7)
    world.run(datatype)
    assert world.check(datatype) > (300 if datatype is POWER else 40)


@pytest.mark.parametrize("datatype", [POWER, ENERGY], ids=lambda item: item.name)
def test_minute_by_minute_equals_the_plain_recomputation(world: World, datatype: DataType) -> None:
    left = {f"d{number}": readings(number, T0, 150, MINUTE * 2) for number in range(2)}
    world.now = T0
    while any(left.values()):
        world.now += timedelta(minutes=7)
        for device, ahead in left.items():
            due = [item for item in ahead if item[0] <= world.now]
            world.store(datatype, device, due)
            left[device] = ahead[len(due) :]
        world.run(datatype)
    world.check(datatype)
    world.now += timedelta(hours=8)
    world.run(datatype)
    world.check(datatype)
    assert world.db[datatype.tiers[-1].prefix + datatype.collection].count_documents({"final": False}) == 0
