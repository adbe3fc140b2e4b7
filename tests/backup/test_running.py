"""A backup that is written while ingest stores: its readings and events do not agree, and a replay mends that."""

from __future__ import annotations

from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.app import sql_context
from greenpower.backup.write import write_backup
from greenpower.cli.init import init_mongo, init_sql
from greenpower.config import Settings
from greenpower.sql.extensions import db as sql
from tests.ingest.load import Load
from tests.process import Command
from tests.wait import wait_until

Document = dict[str, Any]
Reading = tuple[str, datetime]


def of_readings(db: Database[Document]) -> dict[Reading, Document]:
    return {(row["device_id"], row["timestamp"]): row["payload"] for row in db.grid_rt_data.find()}


def of_events(db: Database[Document]) -> set[Reading]:
    return {(row["device_id"], row["timestamp"]) for row in db.telemetry_events.find()}


@pytest.mark.slow
def test_a_replay_mends_what_was_written_meanwhile(settings: Settings, broker: tuple[str, int], tmp_path: Path) -> None:
    folder = tmp_path / "backup"
    init_sql(settings)
    init_mongo(settings)
    restored = settings.model_copy(
        update={
            "mongo_db_name": f"{settings.mongo_db_name}_other",
            "database_url": SecretStr(f"sqlite:///{tmp_path / 'other.sqlite3'}"),
        }
    )
    with (
        MongoClient[Document](settings.need("MONGO_DB_URI"), tz_aware=True) as client,
        Command(settings, "ingest", "--mqtt", folder=tmp_path) as ingest,
        ExitStack() as stack,
    ):
        live, copy = client[settings.mongo_db_name], client[restored.mongo_db_name]
        ingest.wait_healthy()
        load = stack.enter_context(Load(*broker))
        wait_until(lambda: live.grid_rt_data.count_documents({}) > 500, 30)

        def tell(name: str, done: int, total: int) -> None:
            """Let the system go on for a while between readings and events."""
            if name == "mongo/grid_rt_data" and done == total:
                there = live.telemetry_events.count_documents({})
                wait_until(lambda: live.telemetry_events.count_documents({}) > there + 200, 30)

        with sql_context(settings), sql.engine.connect() as connection:
            write_backup(folder, live, connection, tell)
        sent = load.end()
        wait_until(lambda: live.grid_rt_data.count_documents({}) == sent, 30)
        try:
            for command in (
                ("restore", str(folder)),
                ("replay", "--type", "rt", "--since", (datetime.now(UTC) - timedelta(days=1)).isoformat()),
            ):
                before = of_events(copy) - of_readings(copy).keys()
                with Command(restored, *command, folder=tmp_path) as process:
                    assert process.process.wait(60) == 0, process.log.read_text()
            assert len(before) >= 200  # what the backup alone had of events without their readings
            readings = of_readings(copy)
            assert readings.keys() == of_events(copy)
            there = of_readings(live)
            assert {key: there[key] for key in readings} == readings
        finally:
            client.drop_database(restored.mongo_db_name)
