"""Deltas and enumerations through all tiers and the ledger, held against the plain recomputation."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ensure_indexes
from tests.rollups.conftest import T0
from tests.rollups.world import RATE, USAGE, World

MINUTE = timedelta(minutes=1)


@pytest.fixture(autouse=True)
def indexes(db: Database[Document], world: World) -> None:
    ensure_indexes(db, (USAGE,), world.settings)


def usage(seed: int, count: int, step: timedelta) -> list[tuple[datetime, dict[str, Any]]]:
    """Readings of a device with silences, missing fields, values that are no code, and more than can have been used."""
    rng, time, made = random.Random(seed), T0, []
    for _ in range(count):
        time += step * (1 if rng.random() < 0.95 else rng.randrange(2, 40))
        payload: dict[str, Any] = {
            "used": rng.choice([0, 1, 0.1, 0.2, round(rng.uniform(0, 9), 3), -0.5]),
            "mode": rng.choice([0, 1, 1, 1, 7, 5]),
            "faults": rng.choice([0, 0, 1, 4, 5, 8]),
        }
        if rng.random() < 0.02:
            payload["used"] = 50 * RATE
        for name in ("used", "mode", "faults"):
            if rng.random() < 0.05:
                del payload[name]
        made.append((time + timedelta(milliseconds=rng.randrange(999)), payload))
    return made


def test_all_at_once_equals_the_plain_recomputation(world: World) -> None:
    for number in range(3):
        world.store(USAGE, f"d{number}", usage(number, 200, MINUTE))
    world.now = T0 + timedelta(hours=23)
    world.run(USAGE)
    assert world.check(USAGE) > 300


def test_run_after_run_with_late_readings_equals_the_plain_recomputation(world: World) -> None:
    """Every third reading comes an hour late."""
    left = sorted(
        (time + timedelta(hours=index % 3 == 0), device, time, payload)
        for device in ("d0", "d1")
        for index, (time, payload) in enumerate(usage(int(device[1]), 45, 4 * MINUTE))
        if payload
    )
    world.now = T0
    while left:
        world.now += 37 * MINUTE
        due, left = [item for item in left if item[0] <= world.now], [item for item in left if item[0] > world.now]
        for _, device, time, payload in due:
            world.store(USAGE, device, [(time, payload)])
        world.run(USAGE)
    world.run(USAGE)
    world.check(USAGE)
    world.now += timedelta(hours=8)
    world.run(USAGE)
    assert world.check(USAGE) > 100
