"""`greenpower import` killed in the middle and run again: nothing is there twice, tiers and ledger are the same."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from pymongo import MongoClient

from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS, INVALIDATIONS, ensure_indexes
from tests.process import Command
from tests.rollups.truth import check_type
from tests.rollups.world import run_all
from tests.wait import wait_until

ENERGY = "eny_now"
NOW = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
BEGIN, QUARTER = NOW - timedelta(days=100), timedelta(minutes=15)
ROWS = 9_000
UNLIKE = dict.fromkeys(("_id", "as_of", "updated_at", "received_at"), 0)


def a_file(folder: Path) -> Path:
    """Two meters, a register and its peak, in turn."""
    path = folder / "history.csv"
    lines = [f"K{n % 2},{(BEGIN + n // 2 * QUARTER).isoformat()},{100 + n // 2 * 0.25},{n % 40}\n" for n in range(ROWS)]
    path.write_text("device_id,timestamp,zygsz,dmpmax\n" + "".join(lines))
    return path


def run_import(settings: Settings, folder: Path) -> Command:
    args = ("import", str(a_file(folder)), "--type", ENERGY, "--new-devices")
    return Command(settings, *args, folder=folder)


@contextmanager
def database(settings: Settings) -> Iterator[Any]:
    with MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as client:
        yield client[settings.mongo_db_name]
        client.drop_database(settings.mongo_db_name)


def everything(db: Any, settings: Settings) -> dict[str, list[str]]:
    """Readings, tiers and ledger once all is rolled up, but for ids and times of writing."""
    datatype = get_registry()[ENERGY]
    # What was killed is taken over, once nobody has renewed its note for a while.
    db[INVALIDATIONS].update_many({"work": "import"}, {"$set": {"updated_at": NOW - timedelta(days=1)}})
    for _ in range(2):
        run_all(db, [datatype], settings, clock=lambda: NOW)
    check_type(db, datatype, settings, NOW)
    assert not db[INVALIDATIONS].count_documents({"type": ENERGY})
    names = [datatype.collection, *(tier.prefix + datatype.collection for tier in datatype.tiers)]
    return {name: sorted(map(str, db[name].find({}, UNLIKE))) for name in (*names, INTERVALS, ENERGY_DAYS)}


def test_killed_and_run_again_it_is_as_if_it_had_not_been(settings: Settings, tmp_path: Path) -> None:
    init_sql(settings)
    whole = settings.model_copy(update={"mongo_db_name": settings.mongo_db_name + "_whole"})
    datatype = get_registry()[ENERGY]
    with database(settings) as db, database(whole) as other:
        for each in (db, other):
            ensure_indexes(each, [datatype], settings)
        readings = db[datatype.collection]
        for least in (1, ROWS // 2):
            with run_import(settings, tmp_path) as command:
                wait_until(lambda least=least: readings.count_documents({}) >= least, every=0.001)  # type: ignore[misc]
                os.kill(command.process.pid, signal.SIGKILL)
                # It may have come to its end before the signal came, on a machine that stood still.
                assert command.process.wait() in (-signal.SIGKILL, 0)
            # Of what it had stored, all may be computed while the rest is missing.
            run_all(db, [datatype], settings, clock=lambda: NOW)
        with run_import(settings, tmp_path) as command:
            assert command.process.wait() == 0, command.log.read_text()
            assert f"{ROWS} rows: " in command.log.read_text()
        assert db[datatype.collection].count_documents({}) == ROWS
        with run_import(whole, tmp_path) as command:
            assert command.process.wait() == 0, command.log.read_text()
        assert everything(db, settings) == everything(other, settings)
        assert db[INTERVALS].count_documents({}) > 0
