"""A process that gathers values is killed at any point: the next ones store each value once, and in order."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.asynchronous.database import AsyncDatabase
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.ingest.spool import Spool
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from tests.ingest.conftest import Document
from tests.ingest.gathered import REGISTRY, now_slot, value

SLOT = now_slot()
MILLISECOND = timedelta(milliseconds=1)
BURST = 60  # values of one millisecond


async def _hang(reached: asyncio.Event) -> None:
    reached.set()
    await asyncio.Event().wait()


def _hold(owner: Any, name: str, reached: asyncio.Event, *, after: bool) -> None:
    call: Callable[..., Awaitable[Any]] = getattr(owner, name)

    async def held(*args: Any) -> Any:
        if after:
            await call(*args)
        await _hang(reached)

    setattr(owner, name, held)


POINTS: dict[str, Callable[[Pipeline, asyncio.Event], None]] = {
    "before its times are settled": lambda pipeline, reached: _hold(pipeline.gathering, "settle", reached, after=False),
    "before its times are kept": lambda pipeline, reached: _hold(pipeline.gathering, "settle", reached, after=True),
    "before it is stored": lambda pipeline, reached: _hold(pipeline.storing, "store", reached, after=False),
    "before its event": lambda pipeline, reached: _hold(pipeline.storing, "store", reached, after=True),
    "after its event": lambda pipeline, reached: _hold(pipeline.events, "keep", reached, after=True),
}


async def _live(
    settings: Settings, db: AsyncDatabase[Document], home: Path, batches: list[list[Arrival]], killed_at: str = ""
) -> None:
    """A process: it takes what was left, then the batches, and is killed within the last of them, or before."""
    spool = Spool(home)
    spool.open()
    pipeline = Pipeline(registry=REGISTRY, settings=settings, db=db, metrics=IngestMetrics(), spool=spool)
    await pipeline.clock.load()
    if killed_at:
        reached = asyncio.Event()
        going = asyncio.create_task(_go(pipeline, batches, lambda: POINTS[killed_at](pipeline, reached)))
        await reached.wait()
        await pipeline.batcher.abandon()
        going.cancel()
        await asyncio.wait([going])
        os.close(spool._lock)  # as the kernel does
    else:
        await _go(pipeline, batches, lambda: None)
        spool.close()
    pipeline.close()


async def _go(pipeline: Pipeline, batches: list[list[Arrival]], prepare: Callable[[], None]) -> None:
    """`prepare` is called before the last thing that this process does."""
    if not batches:
        prepare()
    await pipeline.recover()
    for number, batch in enumerate(batches):
        if number == len(batches) - 1:
            prepare()
        for arrival in batch:
            pipeline.submit(arrival)
        await pipeline.drain()


@pytest.mark.parametrize("first", POINTS)
def test_each_value_is_stored_once_wherever_processes_are_killed(
    first: str, settings: Settings, db: Database[Document], tmp_path: Path
) -> None:
    """One is killed with its second batch, the next one while it takes what was left, the third goes on."""
    with sync_client(settings) as client:
        ensure_indexes(client[settings.mongo_db_name], REGISTRY, settings)
    sent = {"power": [*range(5 * BURST)], "voltage": [count % 2 for count in range(5 * BURST)]}

    async def scenario(second: str, home: Path) -> None:
        values = [
            value(
                field,
                sent[field][at],
                SLOT + timedelta(milliseconds=at // BURST),
                f"{home.name}/1",
                packet=2 * at + number,
            )
            for at in range(5 * BURST)
            for number, field in enumerate(sent, 1)
        ]
        a, b, c = values[: 4 * BURST], values[4 * BURST : 8 * BURST], values[8 * BURST :]
        async with async_client(settings) as client:
            database = client[settings.mongo_db_name]
            await _live(settings, database, home, [a, b], first)
            await _live(settings, database, home, [], second)
            await _live(settings, database, home, [c])

    for number, second in enumerate(POINTS):
        home = tmp_path / str(number)
        asyncio.run(scenario(second, home))
        rows = list(db.em_data.find({"device_id": f"{number}-1"}).sort("timestamp"))
        for field, values in sent.items():
            assert [row["payload"][field] for row in rows if field in row["payload"]] == values, (second, field)
        assert [path.name for path in (home / "spool").iterdir()] == ["lock"]


def test_folders_are_taken_in_the_order_in_which_their_processes_began(tmp_path: Path) -> None:
    """Process ids begin anew: the lower one may be the later process."""
    spool = Spool(tmp_path)
    spool.open()
    for name, topic in (("900-1", "first"), ("8-2", "second"), ("1000-3", "third")):
        other = Spool(tmp_path)
        other._folder = tmp_path / "spool" / name
        other.open()
        asyncio.run(_keep(other, topic))
        os.close(other._lock)
    with spool.left(REGISTRY) as files:
        assert [arrival.topic for left in files for arrival in left.arrivals] == ["first", "second", "third"]
    spool.close()


async def _keep(spool: Spool, topic: str) -> None:
    file = spool.file()
    assert file is not None
    file.add(Arrival(topic=topic, payload=b"1", received_at=datetime.now(UTC), source="mqtt"))
    file.flush()
