"""How what a run catches up with is cut: whole days of groups of devices, each in memory once, and the same results."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from greenpower.measure.windows import floor
from greenpower.rollups import compute, parts, roll_forward
from greenpower.rollups.backfill import backfill
from greenpower.rollups.documents import Made, Task, make_documents
from greenpower.rollups.tier_run import TierRun
from tests.rollups.conftest import T0
from tests.rollups.test_run import MINUTE, readings
from tests.rollups.world import ENERGY, World

DAY_SECONDS = 86_400
HALF_HOUR = timedelta(minutes=30)


@pytest.mark.parametrize("again", [False, True], ids=["catching up", "backfill"])
def test_a_device_and_a_day_are_in_memory_once(world: World, monkeypatch: pytest.MonkeyPatch, again: bool) -> None:
    monkeypatch.setattr(parts, "MAX_READINGS_PER_PART", 100)
    for number in range(7):
        world.store(ENERGY, f"d{number}", readings(number, T0 + timedelta(hours=5), 150, MINUTE * 30))
    world.now = T0 + timedelta(days=5, hours=2)
    if again:
        world.run(ENERGY)
    seen: list[tuple[datetime, datetime, set[str]]] = []

    def watched(run: TierRun, task: Task) -> Made:
        made = make_documents(run, task)
        if run.plan.tier.prefix == "last_30_days_":
            seen.append((task.begin, task.end, {document["device_id"] for document in made.documents}))
        return made

    monkeypatch.setattr(compute, "make_documents", watched)
    if again:
        backfill(world.db, ENERGY, world.settings, clock=world.clock)
    else:
        world.run(ENERGY)
    world.check(ENERGY)
    # A window before that was decided by what came after it is computed alone.
    days = [(begin, device) for begin, end, devices in seen if end - begin > HALF_HOUR for device in devices]
    days = [(floor(begin, DAY_SECONDS), device) for begin, device in days if begin < floor(world.now, DAY_SECONDS)]
    assert len(days) == len(set(days)) >= 7 * 3
    assert max(len(devices) for *_, devices in seen) <= 4


def test_one_device_with_more_than_memory_holds_is_cut_by_time(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_READINGS_PER_PART", 50)
    world.store(ENERGY, "d0", readings(1, T0, 900, MINUTE * 2))
    world.store(ENERGY, "d1", readings(2, T0, 20, MINUTE * 70))
    world.now = T0 + timedelta(days=3)
    most = 0

    def watched(run: TierRun, task: Task) -> Made:
        nonlocal most
        made = make_documents(run, task)
        if run.plan.tier.prefix == "last_30_days_":
            most = max(most, sum(document["coverage"]["count"] for document in made.documents))
        return made

    monkeypatch.setattr(compute, "make_documents", watched)
    world.run(ENERGY)
    world.check(ENERGY)
    assert 0 < most <= 50


def test_a_day_that_is_too_much_for_a_step_is_cut(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_READINGS_PER_PART", 50)
    monkeypatch.setattr(parts, "MAX_READINGS_PER_STEP", 120)
    for number in range(3):
        world.store(ENERGY, f"d{number}", readings(number, T0, 200, MINUTE * 10))
    world.now = T0 + timedelta(days=3)
    lengths = []

    def watched(run: TierRun, begin: datetime, end: datetime) -> datetime:
        after = parts.end_of_step(run, begin, end)
        if run.plan.tier.prefix == "last_30_days_" and begin < T0 + timedelta(days=1):
            lengths.append(after - begin)
        return after

    monkeypatch.setattr(roll_forward, "end_of_step", watched)
    world.run(ENERGY)
    world.check(ENERGY)
    # 18 readings an hour: 120 of them are less than seven hours.
    assert len(lengths) >= 3 and max(lengths) < timedelta(hours=7)


def test_live_a_window_is_computed_with_those_beside_it(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    every = {f"d{number}": readings(number, T0, 260, MINUTE) for number in range(3)}
    seen: list[tuple[datetime, datetime]] = []

    def watched(run: TierRun, task: Task) -> Made:
        if run.plan.tier.prefix == "last_30_days_" and task.devices is None:
            seen.append((task.begin, task.end))
        return make_documents(run, task)

    monkeypatch.setattr(compute, "make_documents", watched)
    ends = [T0 + timedelta(minutes=minutes, seconds=90) for minutes in range(30, 241, 30)]
    for before, now in zip([T0, *ends], ends, strict=False):
        for device, several in every.items():
            world.store(ENERGY, device, [one for one in several if before <= one[0] < now])
        world.now = now
        seen.clear()
        world.run(ENERGY)
        # What is done, what is open, and the window before, whose last samples are decided now: in one piece.
        assert len(seen) == 1
        assert seen[0][1] > floor(now, 1_800) and (now < T0 + timedelta(hours=1) or seen[0][0] < before)
    world.now = ends[-1] + timedelta(hours=4)
    world.run(ENERGY)
    world.check(ENERGY)
