"""Versions of the documents: adopted, checked, migrated by one process while others wait, whatever is killed."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.app import sql_context
from greenpower.backup.archive import ArchiveError
from greenpower.backup.restore import Restore
from greenpower.backup.write import in_order, write_backup
from greenpower.catalog.registry import get_registry
from greenpower.config import ConfigError, Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.schema.layout import SCHEMA, ensure_indexes
from greenpower.mongo.schema.migrate import Event, MigrationError, migrate
from greenpower.mongo.schema.steps import KNOWN_VERSION, STEPS, UNVERSIONED, Step
from greenpower.mongo.schema.version import adopt, check_version, read_schema
from greenpower.sql.extensions import db as sql
from greenpower.sql.setup import upgrade
from tests.command import run_cli
from tests.mongo.schema.migrating import make_steps
from tests.process import Command
from tests.wait import wait_until

METERS = 45
ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings, appname="greenpower-restore") as client:
        yield client[settings.mongo_db_name]


def fill(db: Database[Document]) -> None:
    db["meters"].insert_many([{"_id": n, "watts": n * 1000, "name": f"m{n}"} for n in range(METERS)])


def is_migrated(db: Database[Document]) -> bool:
    """Every meter once, whatever was killed."""
    return list(db["meters"].find().sort("_id")) == [
        {"_id": n, "kilowatts": float(n), "name": f"M{n}", "times": 1, "upper": True} for n in range(METERS)
    ]


class Migrating:
    """A process that migrates the database with the made-up steps."""

    def __init__(self, settings: Settings, halt_at: str = "") -> None:
        uri = settings.mongo_db_uri.get_secret_value()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.mongo.schema.migrating", uri, settings.mongo_db_name, halt_at],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.points: list[str] = []
        self._reader = Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        with self.process.stdout as lines:
            for line in lines:
                self.points.append(line.strip())

    def reached(self, point: str) -> bool:
        return point in self.points

    def end(self) -> int:
        code = self.process.wait(60)
        self._reader.join()
        return code

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self._reader.join()


@pytest.mark.parametrize(
    "point",
    [
        "locked 0 0",
        "before None",
        "written None",
        "piece 2 10",
        "before 19",
        "written 39",
        "piece 2 45",
        "applied 2 45",
        "piece 3 20",
        "applied 3 45",
    ],
)
def test_a_killed_owner_is_followed_by_the_one_that_waits(
    point: str, settings: Settings, db: Database[Document]
) -> None:
    fill(db)
    owner = Migrating(settings, point)
    wait_until(lambda: owner.reached("halted"), 60)
    other = Migrating(settings)
    try:
        if point == "applied 3 45":  # all is done, nothing is left to wait for
            assert other.end() == 0
        else:
            wait_until(lambda: other.reached("waiting 0 0"), 60)
            assert not other.reached("locked 0 0")
        owner.kill()
        # Its lock ends by the server's clock. A short one would also end while the machine stands still.
        ended = {"$set": {"lock.until": datetime.now(UTC) - timedelta(hours=1)}}
        db[SCHEMA].update_one({"lock": {"$exists": True}}, ended)
        assert other.end() == 0 and other.points[-1] == "version 3"
        assert is_migrated(db)
        found = adopt(db)
        assert (found["version"], found["oldest_reader"]) == (3, 2) and "step" not in found
        assert [step["version"] for step in found["steps"]] == [2, 3]
    finally:
        owner.kill()
        other.kill()


def test_of_two_at_once_one_migrates(settings: Settings, db: Database[Document]) -> None:
    fill(db)
    both = [Migrating(settings), Migrating(settings)]
    assert [one.end() for one in both] == [0, 0]
    assert is_migrated(db)
    assert [step["version"] for step in adopt(db)["steps"]] == [2, 3]
    assert all(one.points[-1] == "version 3" for one in both)


def test_an_owner_whose_lock_was_taken_over_stops(db: Database[Document]) -> None:
    fill(db)

    def tell(event: Event, version: int, changed: int) -> None:
        if event is Event.PIECE and version == 2 and changed == 10:
            db[SCHEMA].update_one({}, {"$set": {"lock.owner": "another"}})

    with pytest.raises(MigrationError):
        migrate(db, steps=make_steps(), tell=tell)
    found = adopt(db)
    assert found["version"] == 1 and found["lock"]["owner"] == "another"
    # The other one died: its lock ends.
    db[SCHEMA].update_one({}, {"$set": {"lock.until": datetime.now(UTC) - timedelta(hours=1)}})
    assert migrate(db, steps=make_steps()) == 3 and is_migrated(db)


def test_a_step_that_fails_is_tried_again_from_its_last_piece(db: Database[Document]) -> None:
    fill(db)
    first, second = make_steps()
    positions: list[Any] = []

    def failing(db: Database[Document], position: Any) -> Any:
        positions.append(position)
        if len(positions) == 3:
            raise RuntimeError("no more")
        return first.rewrite(db, position)

    broken = Step(version=2, oldest_reader=2, title="", rewrite=failing)
    with pytest.raises(RuntimeError):
        migrate(db, steps=(broken, second))
    found = adopt(db)
    assert found["version"] == 1 and found["oldest_reader"] == 2 and "lock" not in found
    assert migrate(db, steps=(broken, second)) == 3
    assert positions == [None, 9, 19, 19, 29, 39] and is_migrated(db)


def test_steps_run_again_find_what_an_older_program_wrote_meanwhile(db: Database[Document]) -> None:
    fill(db)
    db["meters"].delete_one({"_id": 5})
    assert migrate(db, steps=make_steps()) == 3
    db["meters"].insert_one({"_id": 5, "watts": 5000, "name": "m5"})
    assert migrate(db, steps=make_steps()) == 3 and not is_migrated(db)
    assert migrate(db, steps=make_steps(), again=True) == 3 and is_migrated(db)


def test_a_database_without_a_version_is_adopted_as_it_is(settings: Settings, db: Database[Document]) -> None:
    """Empty, it gets the newest version at once; with data it is version 1, and nothing in it changes."""
    ensure_indexes(db, get_registry(), settings)
    found = adopt(db, make_steps())
    assert (found["version"], found["oldest_reader"]) == (3, 2)
    db[SCHEMA].delete_many({})
    db["grid_rt_data"].insert_one({"_id": 1})
    found = adopt(db, make_steps())
    assert (found["version"], found["oldest_reader"]) == (UNVERSIONED, UNVERSIONED)
    assert list(db["grid_rt_data"].find()) == [{"_id": 1}]


def test_the_versions_of_this_release_follow_each_other() -> None:
    assert [step.version for step in STEPS] == list(range(UNVERSIONED + 1, KNOWN_VERSION + 1))
    assert all(UNVERSIONED <= step.oldest_reader <= step.version for step in STEPS)


@pytest.mark.parametrize(
    ("known", "oldest", "told"),
    [(1, 1, {"1", "2"}), (2, 1, None), (3, 2, None), (4, 3, None), (5, 4, {"3", "4", "5"})],
)
def test_a_program_starts_where_it_can_read(
    db: Database[Document], known: int, oldest: int, told: set[str] | None
) -> None:
    """told: the numbers that a refusal gives; None where it starts."""
    fill(db)
    check_version(db, known, oldest)  # without a version nothing is against it
    migrate(db, steps=make_steps())
    if told is None:
        check_version(db, known, oldest)
    else:
        with pytest.raises(ConfigError) as caught:
            check_version(db, known, oldest)
        text = str(caught.value)
        assert "\n" not in text and set(re.findall(r"\b\d+\b", text)) == told


# They serve, and would change this process for good.
PROCESSES = (("ingest", "--mqtt"), ("api",), ("worker",))


@pytest.mark.parametrize(
    "command",
    [
        *PROCESSES,
        ("init",),
        ("migrate",),
        ("rollups", "status"),
        ("replay", "--type", "rt", "--since", "2026-01-01"),
    ],
)
def test_every_process_refuses_a_database_of_a_later_release(
    command: tuple[str, ...],
    settings: Settings,
    db: Database[Document],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    later = KNOWN_VERSION + 7
    db[SCHEMA].insert_one({"_id": "schema", "version": later, "oldest_reader": later, "steps": []})
    if command in PROCESSES:
        with Command(settings, *command, folder=tmp_path) as process:
            code, said = process.process.wait(60), process.log.read_text()
    else:
        code, said = run_cli(monkeypatch, tmp_path, *command, settings=settings), capsys.readouterr().err
    assert code == 2, said
    assert f" {later}," in said and f" {KNOWN_VERSION}:" in said


def test_the_command_migrates_both_and_says_a_line_for_each(
    settings: Settings, db: Database[Document], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    def said(*arguments: str) -> list[str]:
        assert run_cli(monkeypatch, tmp_path, "migrate", *arguments, settings=settings) == 0
        return list(capsys.readouterr().out.splitlines())

    db["grid_rt_data"].insert_one({"_id": 1})
    assert len(said("--dry-run")) == 2 + len(STEPS) and read_schema(db) is None
    lines = said()
    assert [line.partition(":")[0] for line in lines] == ["SQL", "MongoDB"]
    found = read_schema(db)
    assert found is not None and found["version"] == KNOWN_VERSION
    assert len(said("--dry-run")) == len(said()) == len(said("--again")) == 2


def test_the_version_is_backed_up_first_and_restored(
    settings: Settings, db: Database[Document], tmp_path: Path
) -> None:
    adopt(db)
    fill(db)
    migrate(db)
    assert in_order(db)[0] == SCHEMA
    before = read_schema(db)
    with sql_context(settings), sql.engine.connect() as connection:
        upgrade()
        write_backup(tmp_path / "backup", db, connection)
        db["meters"].delete_many({})
        db[SCHEMA].update_one({}, {"$set": {"version": 99}})
        # The version alone is nothing that a restore would overwrite unasked.
        connection.rollback()
        work = Restore(db, sql.engine, lambda prefix: ensure_indexes(db, (), settings, prefix=prefix))
        work.load(tmp_path / "backup")
        assert read_schema(db) == before and db["meters"].count_documents({}) == METERS

        later = KNOWN_VERSION + 1
        db[SCHEMA].update_one({}, {"$set": {"version": later, "oldest_reader": later}})
        write_backup(tmp_path / "later", db, connection)
        with pytest.raises(ArchiveError, match=f" {later}"):
            work.load(tmp_path / "later", replace=True)
        assert db["meters"].count_documents({}) == METERS
