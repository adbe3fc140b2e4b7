"""Loops in asyncio tasks: restarts, cancellation, stops."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from greenpower.loops import TaskLoop
from tests.loops.clock import AT_ONCE, FOREVER
from tests.wait import until

SECONDS_AT_MOST = 60


def loop_of(work: Callable[[TaskLoop], Awaitable[object]], **options: object) -> TaskLoop:
    return TaskLoop("test", work, stalled_after=10, **{"backoff": AT_ONCE, **options})


async def advance_for_ever(loop: TaskLoop) -> None:
    while not await loop.wait(0.001):
        loop.advance()


def test_one_that_raises_is_started_again_and_stops_at_once() -> None:
    async def go() -> None:
        runs: list[int] = []

        async def work(loop: TaskLoop) -> None:
            runs.append(1)
            if len(runs) < 3:
                raise RuntimeError
            await advance_for_ever(loop)

        loop = loop_of(work)
        loop.start()
        await until(lambda: loop.health()["ok"])
        assert loop.restarts == 2 and loop.last_error == "RuntimeError"
        await loop.stop()
        assert not loop.running

    asyncio.run(go())


def test_a_request_to_stop_lets_the_work_end_by_itself() -> None:
    async def go() -> None:
        ended: list[bool] = []

        async def work(loop: TaskLoop) -> None:
            await advance_for_ever(loop)
            await asyncio.sleep(0.01)
            ended.append(True)

        loop = loop_of(work)
        running = asyncio.create_task(loop.run())
        await until(lambda: loop.health()["ok"])
        loop.request_stop()
        await asyncio.wait_for(running, SECONDS_AT_MOST)
        assert ended and loop.restarts == 0

    asyncio.run(go())


def test_neither_a_stop_nor_a_cancellation_waits_for_the_pause() -> None:
    async def fails(loop: TaskLoop) -> None:
        raise RuntimeError

    async def go() -> None:
        stopped, asked, cancelled = (loop_of(fails, backoff=FOREVER) for _ in range(3))
        tasks = [asyncio.create_task(asked.run()), asyncio.create_task(cancelled.run())]
        stopped.start()
        await until(lambda: all(loop.restarts for loop in (stopped, asked, cancelled)))
        async with asyncio.timeout(SECONDS_AT_MOST):
            await stopped.stop()
            asked.request_stop()
            await tasks[0]
            tasks[1].cancel()
            with pytest.raises(asyncio.CancelledError):
                await tasks[1]

    asyncio.run(go())


def test_a_cancellation_is_not_swallowed() -> None:
    async def go() -> None:
        async def turned(loop: TaskLoop) -> None:
            loop.advance()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                raise ValueError from None

        for work in (advance_for_ever, turned):
            loop = loop_of(work)
            task = asyncio.create_task(loop.run())
            await until(lambda loop=loop: loop.health()["ok"])  # type: ignore[misc]
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, SECONDS_AT_MOST)
            assert not loop.running

    asyncio.run(go())


def test_work_that_swallows_one_cancellation_is_cancelled_again() -> None:
    async def go() -> None:
        async def deaf(loop: TaskLoop) -> None:
            loop.advance()
            try:
                await asyncio.sleep(3600)
            except asyncio.CancelledError:
                await asyncio.sleep(3600)

        loop = loop_of(deaf)
        loop.start()
        await until(lambda: loop.health()["ok"])
        await asyncio.wait_for(loop.stop(), SECONDS_AT_MOST)
        assert not loop.running

    asyncio.run(go())


def test_a_cancelled_task_that_the_work_waits_for_is_a_failure_and_no_cancellation() -> None:
    async def go() -> None:
        runs: list[int] = []

        async def work(loop: TaskLoop) -> None:
            runs.append(1)
            if len(runs) == 1:
                inner = asyncio.create_task(asyncio.sleep(3600))
                inner.cancel()
                await inner
            await advance_for_ever(loop)

        loop = loop_of(work)
        loop.start()
        await until(lambda: loop.health()["ok"])
        assert loop.restarts == 1 and loop.last_error == "CancelledError"
        await loop.stop()

    asyncio.run(go())
