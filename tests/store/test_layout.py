"""Indexes and retention: made once, changed in place, nothing dropped."""

from __future__ import annotations

from typing import Any

from pymongo.database import Database

from greenpower.config import Settings
from greenpower.registry import get_registry
from greenpower.store.client import sync_client
from greenpower.store.layout import EVENTS, FOREVER, ensure_indexes


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
