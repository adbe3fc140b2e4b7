"""Sharding: the keys fit the indexes; what is printed; a server that is no router is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.mongo.schema.layout import layout
from greenpower.mongo.schema.sharding import Shard, script, shards
from tests.command import run_cli

SHARDS = {shard.collection: shard for shard in shards(get_registry())}


@pytest.mark.parametrize("shard", SHARDS.values(), ids=lambda shard: shard.collection)
def test_a_key_leads_an_index_and_every_unique_one(shard: Shard, settings: Settings) -> None:
    indexes = dict(layout(get_registry(), settings))[shard.collection]
    key = tuple(shard.key)
    unique = [index.keys for index in indexes if index.unique]
    assert all(keys[: len(key)] == key for keys in unique)
    assert shard.unique is (key in unique)
    if key != ("_id",):
        assert any(index.keys[: len(key)] == key for index in indexes)


def test_all_that_grows_with_frames_is_split() -> None:
    names = {name for datatype in get_registry() for name in datatype.collections}
    assert names | {"telemetry_events"} <= SHARDS.keys()


def test_it_is_printed_for_the_shell(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, tmp_path, "shard", settings=settings) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines == script(settings.mongo_db_name, get_registry())
    name = settings.mongo_db_name
    assert f'sh.shardCollection("{name}.grid_rt_data", {{"device_id": 1, "timestamp": 1}}, true)' in lines
    assert f'sh.shardCollection("{name}.telemetry_events", {{"device_id": 1, "received_at": 1}}, false)' in lines
    assert f'sh.shardCollection("{name}.rollup_marks", {{"_id": "hashed"}}, false)' in lines


def test_a_server_that_is_no_router_is_refused_in_one_line(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, tmp_path, "shard", "--apply", settings=settings) == 2
    [line] = capsys.readouterr().err.splitlines()
    assert "router" in line
