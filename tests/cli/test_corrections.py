"""`greenpower corrections` and `greenpower incidents`: made, decided, withdrawn and refused."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from bson import ObjectId
from click.testing import CliRunner, Result

from greenpower.cli import sample_corrections
from greenpower.cli.corrections import corrections
from greenpower.cli.incidents import incidents
from greenpower.cli.init import init_sql
from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import CORRECTIONS, INCIDENTS

NOON = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=2)


def call(command: object, *arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)  # type: ignore[arg-type]


def test_corrections_and_decisions_by_command(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sample_corrections, "load_settings", lambda: settings)
    init_sql(settings)
    span = ("--type", "eny_now", "--since", NOON.isoformat())
    made = call(corrections, "factor", "M1", "zygsz", "0.001", *span, "--reason", "firmware")
    assert made.exit_code == 0, made.output
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        [found] = db[CORRECTIONS].find()
        assert (found["factor"], found["made_by"], found["begin"], found["reason"]) == (
            0.001,
            "console",
            NOON,
            "firmware",
        )
        assert "changed" not in found
        refused = (
            ("factor", "M1", "zygsz", "2", *span),
            ("factor", "M1", "zygsz", "0", "--type", "eny_now", "--since", NOON.isoformat()),
            ("exclude", "M1", "none", "--type", "none", "--since", NOON.isoformat()),
            ("exclude", "M1", "zygsz", *span, "--until", NOON.isoformat()),
            ("withdraw", str(ObjectId())),
            ("withdraw", "x"),
        )
        for arguments in refused:
            assert isinstance(call(corrections, *arguments).exception, ConfigError), arguments
        assert str(found["_id"]) in call(corrections, "list", "--device", "M1").output
        assert call(corrections, "withdraw", str(found["_id"]), "--reason", "repaired").exit_code == 0
        assert str(found["_id"]) not in call(corrections, "list").output
        assert str(found["_id"]) in call(corrections, "list", "--all").output
        assert isinstance(call(corrections, "withdraw", str(found["_id"])).exception, ConfigError)

        incident = {
            "_id": ObjectId(), "type": "eny_now", "device_id": "M1", "field": "zygsz", "at": NOON, "swap": False,
            "incident": "suspect_step", "status": "open", "current": True, "value": 9, "before": 1,
        }  # fmt: skip
        db[INCIDENTS].insert_one(incident)
        name = str(incident["_id"])
        assert name in call(incidents, "list", "--status", "open").output
        for command, status in (("confirm", "confirmed"), ("reject", "rejected"), ("withdraw", "open")):
            assert call(incidents, command, name).exit_code == 0
            kept = db[INCIDENTS].find_one({"_id": incident["_id"]})
            assert kept is not None and kept["status"] == status and "changed" not in kept
        assert isinstance(call(incidents, "withdraw", name).exception, ConfigError)
        assert isinstance(call(incidents, "confirm", str(ObjectId())).exception, ConfigError)
