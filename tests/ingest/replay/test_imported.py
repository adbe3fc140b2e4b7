"""A replay leaves alone what came from files: no event tells what it was."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from tests.importing.files import as_csv, import_bytes
from tests.ingest.conftest import Document
from tests.ingest.replay.test_replay import START, content, other_sign, run_replay, traffic, with_parser
from tests.ingest.steps.test_clock import through_pipelines


def test_imported_readings_stay_and_others_are_replayed(settings: Settings, db: Database[Document]) -> None:
    through_pipelines(settings, traffic())
    device = "33B1225950027"
    sent = {row["timestamp"] for row in content(db)}
    assert db.grid_rt_data.count_documents({"device_id": device, "timestamp": START})
    own: list[dict[str, Any]] = [
        {"device_id": device, "timestamp": (START + timedelta(minutes=n, seconds=30)).isoformat(), "zyggl": 7 + n}
        for n in range(5)
    ]
    own.append({"device_id": device, "timestamp": START.isoformat(), "zyggl": 1.0, "pa": 0.25})  # adds a value
    tally = import_bytes(settings, get_registry()["rt"], as_csv(own, ["device_id", "timestamp", "zyggl", "pa"]))
    assert (tally.stored, tally.conflicts) == (6, 0)
    before = content(db)
    summary = run_replay(settings, get_registry())
    assert summary.changes.total == 0 and summary.changes.imported == 6
    assert content(db) == before
    summary = run_replay(settings, with_parser(other_sign))
    assert summary.changes.imported == 6 and summary.changes.changed > 40
    after = content(db)
    assert [row for row in after if "clock" in row] == [row for row in before if "clock" in row]
    assert {row["timestamp"] for row in after} == sent | {START + timedelta(minutes=n, seconds=30) for n in range(5)}
