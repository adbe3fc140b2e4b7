"""The whole cascade of rt by two workers that share its tiers, beside one: real workers, jobs and locks in Redis.

Both take turns on the same readings; what is compared is the time from the first job to when none is left.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from statistics import median

import redis
from pydantic import SecretStr
from pymongo.database import Database
from rq.registry import StartedJobRegistry

from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.jobs.schedule import QUEUE, JobScheduler, push, rollup_entry
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.watermarks import read_progress
from greenpower.mongo.schema.layout import SEEN, WATERMARKS
from greenpower.rollups.plan import make_plans
from greenpower.stack import Valkey
from tests.process import Command
from tests.wait import wait_until
from tools.bench.rollup_cascade import MINUTE, begin_of
from tools.bench.rollup_world import Row, clear, database, fill
from tools.bench.walks import walks

METERS = 3_000
# The most of one worker's time that two may take.
GOAL = 0.65
LONGEST_RUN_SECONDS = 300.0
LOOK_SECONDS = 0.02


@contextmanager
def workers(settings: Settings, folder: Path, count: int, connection: redis.Redis) -> Iterator[None]:
    """So many workers that are ready."""
    with ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(Command(settings, "worker", folder=folder))
        wait_until(lambda: connection.scard(f"rq:workers:{QUEUE}") == count, 60)
        yield


def cascade(datatype: DataType, settings: Settings, connection: redis.Redis) -> float:
    """Seconds from the job of the first tier to the end of the last that it leads to."""
    plans = make_plans(datatype, settings)
    queue = JsonQueue(QUEUE, connection=connection)
    started = StartedJobRegistry(queue=queue)
    JobScheduler(lambda: map(rollup_entry, plans), connection=connection, interval=60, name="bench").bring_up_to_date(
        []
    )
    began = time.perf_counter()
    push(connection, rollup_entry(plans[0]))
    ended = began
    # Between the end of one job and the next one's begin neither is seen: so twice.
    quiet = 0
    while quiet < 5:
        if queue.count or started.get_job_ids(cleanup=False):
            quiet, ended = 0, time.perf_counter()
        else:
            quiet += 1
        if ended - began > LONGEST_RUN_SECONDS:
            raise SystemExit("the tiers were not done in time")
        time.sleep(LOOK_SECONDS)
    return ended - began


def see(db: Database[Document], datatype: DataType, meters: int) -> None:
    """As if ingest had heard them: that tells that the type is a large one."""
    db[SEEN].insert_many({"_id": f"{datatype.name}|{meter}", "type": datatype.name} for meter in range(meters))


def run(quick: bool) -> list[Row]:
    """One row: the time of two workers, to that of one."""
    datatype = get_registry()["rt"]
    rounds, turns = (10, 1) if quick else (30, 3)
    begin = begin_of(MINUTE, rounds)
    seconds: dict[int, list[float]] = {1: [], 2: []}
    with (
        tempfile.TemporaryDirectory(prefix="greenpower-bench-") as folder,
        Valkey(Path(folder) / "valkey") as valkey,
        database(datatype) as (db, settings),
        redis.Redis.from_url(valkey.url) as connection,
    ):
        settings = settings.model_copy(update={"redis_url": SecretStr(valkey.url), "greenpower_home": Path(folder)})
        frames = fill(db, datatype, walks(METERS, begin, MINUTE, rounds))
        see(db, datatype, METERS)
        for _ in range(turns):
            for count, found in seconds.items():
                clear(db, datatype)
                connection.flushdb()
                with workers(settings, Path(folder), count, connection):
                    found.append(cascade(datatype, settings, connection))
                check(db, datatype, begin + rounds * MINUTE)
    one, two = (median(found) for found in seconds.values())
    name = f"rollup cascade, {METERS} meters, two workers to one"
    figures = {"frames": frames, "one_s": one, "two_s": two, "share": two / one, "goal": GOAL}
    return [{"name": f"{name}, both on this machine", **figures}]


def check(db: Database[Document], datatype: DataType, end: datetime) -> None:
    """Raise SystemExit where the first tier was not computed to the end."""
    reached = read_progress(db[WATERMARKS], datatype.name, datatype.tiers[0].prefix).watermark
    if reached is None or reached < end:
        raise SystemExit(f"the first tier was computed to {reached} instead of {end}")


if __name__ == "__main__":
    print(run(quick=True))
