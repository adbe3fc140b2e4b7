"""Unconfirmed devices at the console: listed, confirmed and deleted, many at once, and written into the audit."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from greenpower.app import sql_context
from greenpower.cli import unconfirmed
from greenpower.cli.console import console_actor
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, SEEN
from greenpower.sql import AuditEntry, Device
from greenpower.sql.confirmation import add_heard
from greenpower.sql.extensions import db


@pytest.fixture
def world(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setattr(unconfirmed, "load_settings", lambda: settings)
    init_sql(settings)
    with sql_context(settings):
        add_heard(db.session, {device_id: ["rt"] for device_id in ("X1", "X2", "X3", "Y1", "Y2")})
    with sync_client(settings) as client:
        now = datetime.now(UTC)
        seen = {"type": "rt", "first_seen": now, "last_heard": now}
        client[settings.mongo_db_name][SEEN].insert_many(
            {"_id": f"rt|{device_id}", "device_id": device_id, **seen} for device_id in ("X1", "X2", "Y1")
        )
    return settings


def run(command: Any, *arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def registry(settings: Settings) -> dict[str, str | None]:
    with sql_context(settings):
        rows = db.session.execute(select(Device.device_id, Device.confirmed_by).order_by(Device.device_id))
        return {device_id: by for device_id, by in rows}


def test_strangers_are_listed_confirmed_and_deleted(world: Settings) -> None:
    me = console_actor().name
    assert [line.split()[0] for line in run(unconfirmed.unconfirmed, "--prefix", "X").splitlines()[1:]] == [
        "X1",
        "X2",
        "X3",
    ]
    run(unconfirmed.confirm, "X1", "Y1")
    run(unconfirmed.delete, "--unconfirmed", "--prefix", "Y", "--dry-run")
    assert registry(world) == {"X1": me, "X2": None, "X3": None, "Y1": me, "Y2": None}
    run(unconfirmed.delete, "--unconfirmed", "--prefix", "Y")
    run(unconfirmed.delete, "X1", "X2")
    assert registry(world) == {"X1": me, "X3": None, "Y1": me}, "what is confirmed is not deleted here"
    run(unconfirmed.confirm, "--all")
    assert registry(world) == {"X1": me, "X3": me, "Y1": me}
    with sync_client(world) as client:
        mongo = client[world.mongo_db_name]
        assert {one["device_id"] for one in mongo[SEEN].find()} == {"X1", "Y1"}
        assert {one["_id"] for one in mongo[DEVICE_SETTINGS].find({"registered": False})} == {"X2", "Y2"}
    with sql_context(world):
        found = db.session.scalars(select(AuditEntry).where(AuditEntry.object_type == "device")).all()
        changes = sorted((entry.action, entry.object_name, entry.actor) for entry in found)
    deleted = [("delete", device_id, me) for device_id in ("X2", "Y2")]
    assert changes == [*(("change", device_id, me) for device_id in ("X1", "X3", "Y1")), *deleted]


def test_what_is_not_named_is_not_touched(world: Settings) -> None:
    for command in (unconfirmed.confirm, unconfirmed.delete):
        assert CliRunner().invoke(command, []).exit_code == 2
    assert CliRunner().invoke(unconfirmed.delete, ["X1", "--unconfirmed"]).exit_code == 2
    result = CliRunner().invoke(unconfirmed.confirm, ["X1", "NONE"])
    assert isinstance(result.exception, ConfigError)
    assert set(registry(world).values()) == {None}
