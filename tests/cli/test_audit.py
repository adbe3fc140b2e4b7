"""What is done at the console is in the audit, as the user of the machine; without an audit nothing is done."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from click.testing import CliRunner
from sqlalchemy import select

from greenpower.api.http import audited_change
from greenpower.app import sql_context
from greenpower.cli import corrections as energy_corrections
from greenpower.cli import push_keys, sample_corrections, users
from greenpower.cli.console import console_actor
from greenpower.cli.corrections import corrections
from greenpower.cli.incidents import incidents
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.jobs.missing_entries import write_missing_entries
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import CORRECTIONS, INCIDENTS, PUSH_KEYS
from greenpower.sql import AuditEntry
from greenpower.sql.extensions import db
from greenpower.sql.session import sql_session
from greenpower.sql.time import now
from tests.killed import Killed, end_process

NOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)
SPAN = ("--type", "eny_now", "--since", NOON.isoformat())


@pytest.fixture(autouse=True)
def _settings(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (sample_corrections, energy_corrections, users, push_keys):
        monkeypatch.setattr(module, "load_settings", lambda: settings)


def run(command: Any, *arguments: str, given: str | None = None) -> str:
    result = CliRunner().invoke(command, arguments, input=given)
    assert result.exit_code == 0, (result.output, result.exception)
    return result.output


def entries(settings: Settings) -> list[AuditEntry]:
    with sql_context(settings):
        return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def test_changes_at_the_console_are_in_the_audit(settings: Settings) -> None:
    init_sql(settings)
    before = len(entries(settings))
    run(users.users, "create", "bob", "--password-stdin", given="correct horse battery\n")
    run(users.users, "passwd", "bob", "--password-stdin", given="correct horse battery 2\n")
    run(corrections, "factor", "M1", "zygsz", "0.001", *SPAN, "--reason", "firmware")
    with sync_client(settings) as client:
        mongo = client[settings.mongo_db_name]
        [made] = mongo[CORRECTIONS].find()
        run(corrections, "withdraw", str(made["_id"]), "--reason", "repaired")
        end = (NOON + timedelta(hours=1)).isoformat()
        place = ("--type", "eny_now", "--device", "M1", "--field", "zygsz", "--begin", NOON.isoformat(), "--end", end)
        run(corrections, "fix", *place, "--energy", "5", "--reason", "bill")
        incident = {
            "_id": ObjectId(), "type": "eny_now", "device_id": "M1", "field": "zygsz", "at": NOON, "swap": False,
            "incident": "suspect_step", "status": "open", "current": True, "value": 9, "before": 1,
        }  # fmt: skip
        mongo[INCIDENTS].insert_one(incident)
        run(incidents, "reject", str(incident["_id"]), "--reason", "reading error")
    found = entries(settings)[before:]
    assert [(entry.object_type, entry.action, entry.object_name) for entry in found] == [
        ("user", "create", "bob"),
        ("user", "change", "bob"),
        ("correction", "create", "M1"),
        ("correction", "revoke", "M1"),
        ("correction", "create", "M1"),
        ("incident", "decide", "M1"),
    ]
    assert {(entry.actor_kind, entry.actor) for entry in found} == {("console", f"cli:{getpass.getuser()}")}
    assert found[3].after is not None and found[3].after["reason"] == "repaired"
    assert (found[5].before, found[5].after) == (
        {"status": "open", "reason": None},
        {"status": "rejected", "reason": "reading error"},
    )


@pytest.mark.parametrize("moment", ["note_change", "take_out"])
def test_a_command_that_is_killed_behind_its_change_has_its_entry_later(
    settings: Settings, moment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After it changed MongoDB, and after it wrote the entry."""
    init_sql(settings)
    before = len(entries(settings))
    end = (NOON + timedelta(hours=1)).isoformat()
    place = ("--type", "eny_now", "--device", "M1", "--field", "zygsz", "--begin", NOON.isoformat(), "--end", end)
    incident = {
        "_id": ObjectId(), "type": "eny_now", "device_id": "M1", "field": "zygsz", "at": NOON, "swap": False,
        "incident": "suspect_step", "status": "open", "current": True, "value": 9, "before": 1,
    }  # fmt: skip

    with sync_client(settings) as client, monkeypatch.context() as patch:
        patch.setattr(audited_change, moment, end_process)
        mongo = client[settings.mongo_db_name]
        mongo[INCIDENTS].insert_one(incident)

        def end_in(command: Any, *arguments: str) -> None:
            with pytest.raises(Killed):
                CliRunner().invoke(command, arguments)

        end_in(corrections, "factor", "M1", "zygsz", "0.001", *SPAN, "--reason", "firmware")
        end_in(corrections, "withdraw", str(mongo[CORRECTIONS].find_one({"kind": "factor"})["_id"]))  # type: ignore[index]
        end_in(corrections, "fix", *place, "--energy", "5", "--reason", "bill")
        end_in(incidents, "reject", str(incident["_id"]), "--reason", "reading error")
        end_in(push_keys.push_keys, "create", "meter 7")
        end_in(push_keys.push_keys, "revoke", str(mongo[PUSH_KEYS].find_one()["_id"]))  # type: ignore[index]
        assert len(entries(settings)) == before + (6 if moment == "take_out" else 0)
        for written in (6, 0):
            with sql_session(settings) as session:
                assert write_missing_entries(session, mongo, now()) == written
    found = entries(settings)[before:]
    assert sorted((entry.object_type, entry.action, entry.object_name) for entry in found) == [
        ("correction", "create", "M1"),
        ("correction", "create", "M1"),
        ("correction", "revoke", "M1"),
        ("incident", "decide", "M1"),
        ("push_key", "create", "meter 7"),
        ("push_key", "revoke", "meter 7"),
    ]
    assert {(entry.actor_kind, entry.actor) for entry in found} == {("console", f"cli:{getpass.getuser()}")}


def test_without_an_audit_nothing_is_changed(settings: Settings) -> None:
    settings.greenpower_home.mkdir(parents=True, exist_ok=True)
    result = CliRunner().invoke(corrections, ["exclude", "M1", "zygsz", *SPAN])
    assert isinstance(result.exception, ConfigError)
    with sync_client(settings) as client:
        assert client[settings.mongo_db_name][CORRECTIONS].count_documents({}) == 0


def test_a_user_without_a_name_has_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    def nameless() -> str:
        raise KeyError("getpwuid(): uid not found")

    monkeypatch.setattr(getpass, "getuser", nameless)
    assert console_actor().name == f"cli:{os.getuid()}"
