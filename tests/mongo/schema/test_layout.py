"""Indexes and retention: made once, changed in place, nothing dropped."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.catalog.facts import RESERVED_COLLECTIONS
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.compression import otherwise_compressed
from greenpower.mongo.schema.layout import EVENTS, FOREVER, ensure_indexes, layout
from tests.command import run_cli


def ensure(settings: Settings, **values: object) -> list[str]:
    using = Settings.model_validate({**settings.model_dump(), **values})
    with sync_client(using) as client:
        return ensure_indexes(client[using.mongo_db_name], get_registry(), using)


def ttl(db: Database[dict[str, Any]], collection: str, index: str) -> int | None:
    found: int | None = db[collection].index_information()[index].get("expireAfterSeconds")
    return found


def test_indexes_are_made_once(settings: Settings) -> None:
    assert len(ensure(settings)) > 50
    assert ensure(settings) == []


def test_a_changed_retention_takes_effect_in_place(settings: Settings) -> None:
    ensure(settings)
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        assert ttl(db, "today_grid_rt_data", "timestamp") == 86_400
        assert ttl(db, EVENTS, "received_at") == 30 * 86_400
        assert ttl(db, "grid_rt_data", "timestamp") == FOREVER
        db.today_grid_rt_data.insert_one({"device_id": "x"})
        changes = ensure(settings, mongo_today_ttl_seconds=3600, mongo_raw_ttl_seconds=7200, mongo_events_ttl_seconds=0)
        assert any("today_grid_rt_data" in change and "3600" in change for change in changes)
        assert ttl(db, "today_grid_rt_data", "timestamp") == 3600
        assert ttl(db, "grid_rt_data", "timestamp") == 7200
        assert ttl(db, EVENTS, "received_at") == FOREVER
        assert db.today_grid_rt_data.count_documents({}) == 1
        ensure(settings)
        assert ttl(db, "today_grid_rt_data", "timestamp") == 86_400


def test_the_dedupe_is_the_databases(settings: Settings) -> None:
    ensure(settings)
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        for datatype in get_registry():
            for name in datatype.collections:
                assert db[name].index_information()["device_id_timestamp"]["unique"] is True


def test_what_the_core_keeps_for_itself_is_all_that_is_no_types(settings: Settings) -> None:
    assert {name for name, _ in layout((), settings)} == RESERVED_COLLECTIONS


def test_collections_are_made_compressed_and_those_that_are_there_keep_what_they_have(settings: Settings) -> None:
    names = [name for name, _ in layout(get_registry(), settings)]
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        db.create_collection("grid_rt_data")
        ensure(settings)
        assert otherwise_compressed(db, names) == [("grid_rt_data", "snappy")]


def test_the_command_says_what_keeps_its_compression(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with sync_client(settings) as client:
        client[settings.mongo_db_name].create_collection(EVENTS)
    assert run_cli(monkeypatch, tmp_path, "ensure-indexes", settings=settings) == 0
    assert any({f"{EVENTS}:", "snappy;"} <= {*line.split()} for line in capsys.readouterr().out.splitlines())


def test_an_index_that_another_has_taken_the_place_of_goes(settings: Settings) -> None:
    partial = {"outcome": {"$in": ["rejected", "noted"]}}
    keys = [("outcome", 1), ("received_at", 1)]
    with sync_client(settings) as client:
        events = client[settings.mongo_db_name][EVENTS]
        events.create_index(keys, name="outcome_received_at", partialFilterExpression=partial)
        assert any(line.startswith(EVENTS) and "outcome_received_at" in line.split() for line in ensure(settings))
        names = events.index_information().keys()
        assert "outcome_received_at_of_others" in names and "outcome_received_at" not in names
    assert ensure(settings) == []
