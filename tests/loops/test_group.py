"""All loops of a process: started and stopped together, their health and their metrics."""

from __future__ import annotations

import asyncio

import pytest
from prometheus_client import CollectorRegistry

from greenpower.loops import Loops, TaskLoop, ThreadLoop
from tests.loops.clock import AT_ONCE
from tests.wait import wait_until


def steady(loop: ThreadLoop) -> None:
    while not loop.wait(0.001):
        loop.advance()


def failing(loop: ThreadLoop) -> None:
    raise RuntimeError


async def steady_task(loop: TaskLoop) -> None:
    while not await loop.wait(0.001):
        loop.advance()


def test_one_bad_loop_is_seen_in_health_and_metrics_beside_a_good_one() -> None:
    registry = CollectorRegistry()
    loops = Loops(registry)
    loops.add(ThreadLoop("good", steady, stalled_after=10))
    loops.start()
    wait_until(lambda: loops.ok)
    bad = loops.add(ThreadLoop("bad", failing, stalled_after=10, backoff=AT_ONCE))
    loops.start()
    wait_until(lambda: bad.restarts > 3 and loops.health()["good"]["ok"])
    assert not loops.ok
    assert {name: found["ok"] for name, found in loops.health().items()} == {"good": True, "bad": False}
    assert loops.stop(60)
    assert registry.get_sample_value("greenpower_loop_restarts_total", {"loop": "bad"}) == bad.restarts
    assert registry.get_sample_value("greenpower_loop_restarts_total", {"loop": "good"}) == 0
    assert registry.get_sample_value("greenpower_loop_ok", {"loop": "bad"}) == 0


def test_a_name_is_given_once() -> None:
    loops = Loops()
    loops.add(ThreadLoop("one", steady, stalled_after=10))
    with pytest.raises(ValueError):
        loops.add(ThreadLoop("one", steady, stalled_after=10))


def test_a_thread_that_does_not_return_is_told() -> None:
    loops = Loops()
    loop = loops.add(ThreadLoop("deaf", lambda loop: wait_until(lambda: loop.restarts == 99), stalled_after=1))
    loops.start()
    wait_until(lambda: loop.running)
    assert not loops.stop(0.05)
    loop.restarts = 99
    assert loops.stop(60)


def test_tasks_and_threads_stop_together() -> None:
    async def go() -> None:
        loops = Loops()
        task = loops.add(TaskLoop("task", steady_task, stalled_after=10))
        thread = loops.add(ThreadLoop("thread", steady, stalled_after=10))
        loops.start()
        async with asyncio.timeout(60):
            while not loops.ok:
                await asyncio.sleep(0.001)
            await loops.stop_async(10)
        assert not task.running and not thread.running

    asyncio.run(go())
