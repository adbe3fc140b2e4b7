"""The overview with 500 devices at 1 Hz: it stays responsive. What was measured is printed (pytest -s)."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pytest
import redis as blocking
from redis.asyncio import Redis

from greenpower.bus.keys import latest_key
from greenpower.bus.latest import Latest
from greenpower.bus.message import reading_message
from tests.dashboard.conftest import Visit
from tests.dashboard.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

DEVICES = 500
SECONDS = 8
OBSERVE = """() => {
    window.tasks = [];
    new PerformanceObserver((list) => {
        for (const entry of list.getEntries()) window.tasks.push(entry.duration);
    }).observe({type: "longtask"});
    window.changes = 0;
    new MutationObserver((list) => (window.changes += list.length)).observe(
        document.querySelector("main"), {subtree: true, childList: true, characterData: true});
}"""


class Feed:
    """Tells Redis of a reading of every device, each second, as ingest does."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.stop = threading.Event()
        self.rounds = 0
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()))

    def __enter__(self) -> Feed:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop.set()
        self._thread.join(10)

    async def _run(self) -> None:
        redis = Redis.from_url(self.url)
        latest = Latest(redis)
        while not self.stop.is_set():
            began = time.monotonic()
            now = datetime.now(UTC)
            value = self.rounds % 50
            await latest.put(
                "rt",
                [
                    reading_message(
                        "rt",
                        f"LOAD{number:04}",
                        now,
                        now,
                        {"zyggl": number + value / 10, "ua": 230.0 + value / 10, "ia": 10.0 + value, "f": 50.0},
                    )
                    for number in range(DEVICES)
                ],
            )
            self.rounds += 1
            await asyncio.sleep(max(0, 1 - (time.monotonic() - began)))
        await redis.aclose()


@pytest.fixture
def crowd(world: World) -> Iterator[Feed]:
    """The devices. They are gone for the tests that follow."""
    url = world.settings.need("REDIS_URL")
    with Feed(url) as feed:
        yield feed
    with blocking.Redis.from_url(url) as redis:
        redis.hdel(latest_key("rt"), *(f"LOAD{number:04}" for number in range(DEVICES)))
    world.stop_gateway()
    world.start_gateway()


def test_500_devices_at_1_hz_leave_the_page_responsive(crowd: Feed, visit: Visit) -> None:
    page = visit.page
    page.wait_for_function("(count) => document.querySelectorAll('.card').length >= count", arg=DEVICES)
    page.evaluate(OBSERVE)
    began = time.monotonic()
    page.wait_for_timeout(SECONDS * 1000)
    watched = time.monotonic() - began
    tasks: list[float] = page.evaluate("() => window.tasks")
    changes: int = page.evaluate("() => window.changes")
    began = time.monotonic()
    page.get_by_label("Search").fill("LOAD0123")
    page.wait_for_function("() => document.querySelectorAll('.card').length === 1")
    answered = time.monotonic() - began
    busy = sum(tasks) / 1000 / watched
    print(
        f"\n{DEVICES} devices at 1 Hz for {watched:.1f} s: {changes} changes, {len(tasks)} long tasks, "
        f"longest {max(tasks, default=0):.0f} ms, {busy:.0%} of the time; a search took {answered * 1000:.0f} ms"
    )
    # Cards out of sight do not follow, so what changes is what can be seen.
    assert changes > 10 * SECONDS
    assert busy < 0.5 and max(tasks, default=0) < 1000 and answered < 3
