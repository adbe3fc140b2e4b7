"""A writer that is frozen, by a real SIGSTOP to itself, between stamping rows and writing them; run as a process.

`python -m tests.api.telemetry.frozen readings|bucket|replay`, the settings in its environment.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from greenpower.config import Settings, load_settings
from greenpower.mongo.client import async_client, sync_client
from greenpower.mongo.readings.late import patience
from greenpower.mongo.readings.replace import replace_span
from greenpower.mongo.readings.store import Fragment, merge_fragments, store_readings
from greenpower.rollups.compute import compute
from greenpower.rollups.plan import find_plan
from greenpower.rollups.run import now
from greenpower.rollups.tier_run import prepare
from tests.api.energy.meter import METER

START = datetime(2026, 3, 1, tzinfo=UTC)
DEVICE = "FROZEN"


class Freezing:
    """A collection that stops the process before the first write that it is asked for."""

    def __init__(self, collection: Any) -> None:
        self._collection = collection
        self._frozen = False

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._collection, name)
        if name in ("insert_many", "bulk_write", "insert_one"):
            return self._stopping(found)
        return found

    def _stopping(self, write: Callable[..., Any]) -> Callable[..., Any]:
        def stop_first(*args: Any, **kwargs: Any) -> Any:
            if not self._frozen:
                self._frozen = True
                os.kill(os.getpid(), signal.SIGSTOP)
            return write(*args, **kwargs)

        return stop_first


async def write_readings(settings: Settings) -> None:
    """As ingest does: some new readings, and a packet that adds to one that is there."""
    async with async_client(settings) as client:
        rows: Any = Freezing(client[settings.mongo_db_name][METER.collection])
        now = datetime.now(UTC)
        parts = [
            Fragment(DEVICE, "METER", START + timedelta(seconds=number), now, {"volts": float(number)}, True)
            for number in range(5)
        ]
        await store_readings(rows, merge_fragments(parts), patience=patience(settings))


async def replay_readings(settings: Settings) -> None:
    """As a replay does: readings added and changed."""
    async with async_client(settings) as client:
        db = client[settings.mongo_db_name]

        async def announce(_: object) -> None:
            pass

        rows: Any = Freezing(db[METER.collection])
        await replace_span(
            db["wanted"],
            rows,
            span=(START, START + timedelta(days=1)),
            written_before=datetime.now(UTC) + timedelta(hours=1),
            received_after=START,
            announce=announce,
            dry_run=False,
        )


def write_buckets(settings: Settings) -> None:
    """As a rollup does."""
    plan = find_plan(METER, "today_", settings)
    assert plan is not None
    with sync_client(settings) as client:
        run = prepare(client[settings.mongo_db_name], plan, settings, now)
        frozen: Any = Freezing(run.output)
        compute(replace(run, output=frozen), START, START + timedelta(hours=1))


def main() -> None:
    settings = load_settings()
    if sys.argv[1] == "bucket":
        write_buckets(settings)
    else:
        asyncio.run(write_readings(settings) if sys.argv[1] == "readings" else replay_readings(settings))


if __name__ == "__main__":
    main()
