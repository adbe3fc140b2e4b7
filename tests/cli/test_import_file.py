"""`greenpower import`: a file into the database, the report, the exit code, the audit and the registry."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import select

from greenpower.app import sql_context
from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.schema.layout import ensure_indexes
from greenpower.mongo.schema.migrate import migrate
from greenpower.sql import AuditEntry, Device
from greenpower.sql.extensions import db
from tests.command import run_cli

HEAD = "device_id,timestamp,zyggl,pa [W]\n"
FILE = HEAD + "M1,2024-01-31T12:00Z,1.5,500\nM2,2024-01-31T12:00Z,2.5,x\n"


@pytest.fixture(autouse=True)
def _stores(settings: Settings) -> None:
    init_sql(settings)
    with sync_client(settings) as client:
        migrate(client[settings.mongo_db_name])
        ensure_indexes(client[settings.mongo_db_name], get_registry(), settings)


class Console:
    """The command in a folder with a file."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path, settings: Settings) -> None:
        self.monkeypatch, self.folder, self.settings = monkeypatch, folder, settings

    def run(self, text: str, *options: str) -> int:
        (self.folder / "history.csv").write_text(text, encoding="utf-8")
        words = ("import", "history.csv", "--type", "rt", *options)
        return run_cli(self.monkeypatch, self.folder, *words, settings=self.settings)

    def readings(self) -> int:
        with sync_client(self.settings) as client:
            return client[self.settings.mongo_db_name].grid_rt_data.count_documents({"clock": "imported"})


@pytest.fixture
def console(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, settings: Settings) -> Console:
    return Console(monkeypatch, tmp_path, settings)


def test_new_devices_are_refused_until_they_are_said_to_be_new(
    console: Console, capsys: pytest.CaptureFixture[str]
) -> None:
    assert console.run(FILE) == 1
    said = capsys.readouterr()
    assert "2 would" not in said.out and "2 unknown-device" in said.out and "M1, M2" in said.out
    assert "line 2" in said.err and console.readings() == 0
    assert console.run(FILE, "--new-devices", "--dry-run") == 1
    assert console.readings() == 0
    assert console.run(FILE, "--new-devices") == 1  # a cell is no number
    said = capsys.readouterr()
    assert "line 3, column 'pa [W]': not-a-number" in said.err and console.readings() == 2
    with sql_context(console.settings):
        devices = {one.device_id: one for one in db.session.scalars(select(Device))}
        assert set(devices) == {"M1", "M2"} and all(one.confirmed_at for one in devices.values())
        entries = [one for one in db.session.scalars(select(AuditEntry)) if one.object_type == "import"]
        assert [(one.object_name, one.after and one.after["stored"]) for one in entries] == [("rt", 0), ("rt", 2)]
    assert console.run(FILE.replace("x", "")) == 0
    assert "2 duplicates" in capsys.readouterr().out


def test_a_mapping_and_options(console: Console, capsys: pytest.CaptureFixture[str]) -> None:
    (console.folder / "map.toml").write_text('[columns]\n"P" = { field = "pa", unit = "W" }\n', encoding="utf-8")
    text = "time,P,note\n2024-10-27 02:30,500,x\n2024-10-27 02:30,600,x\n"
    options = ("--map", "map.toml", "--device", "M7", "--timezone", "Europe/Berlin", "--ignore-unknown")
    assert console.run(text, *options, "--new-devices") == 0
    assert "2 rows lie in an hour that the zone repeats" in capsys.readouterr().out
    with sync_client(console.settings) as client:
        found = client[console.settings.mongo_db_name].grid_rt_data.find().sort("timestamp")
        assert [(one["timestamp"].hour, one["payload"]) for one in found] == [(0, {"pa": 0.5}), (1, {"pa": 0.6})]


@pytest.mark.parametrize(
    ("text", "options", "said"),
    [
        ("device_id,timestamp,zygl\n", (), "did you mean zyggl"),
        ("", (), "empty"),
        (FILE, ("--timezone", "Mars"), "no time zone"),
        (FILE, ("--format", "parquet"), "no Parquet"),
        (FILE, ("--type", "nope"), "no data type 'nope'"),
    ],
)
def test_what_cannot_be_imported_is_said_in_a_line(
    console: Console, capsys: pytest.CaptureFixture[str], text: str, options: tuple[str, ...], said: str
) -> None:
    assert console.run(text, *options) in (1, 2)
    shown = capsys.readouterr().err
    assert said in shown and "Traceback" not in shown
