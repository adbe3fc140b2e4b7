"""A home whose state files are broken, each in four ways: the stack starts without them and says what is lost.

The files of databases stop the start with one line, and are as they were.
"""

from __future__ import annotations

import shutil
import time
from pathlib import Path

import pytest

from greenpower.config import run_file
from tests.hostile.faults import Meters, check_answers, struck
from tests.hostile.others import Others
from tests.stack.test_broken_file import BREAK, Break, aside, folder, garbage, half
from tests.stack.up import running

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]
# What a home has beside its databases. A cut off log of Valkey is read as far as it goes.
STATE = (
    "secrets.env",
    "run/children.json",
    "run/ingest-members.json",
    "mosquitto/mosquitto.db",
    "valkey/appendonlydir/appendonly.aof.manifest",
)
LATER_SECONDS = 2


@pytest.fixture(scope="module")
def used_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home in which a stack ran, stored frames and ended."""
    home = tmp_path_factory.mktemp("used") / "home"
    with struck(home) as (stack, db):
        with Meters(stack.broker, db) as meters:
            time.sleep(LATER_SECONDS)
            meters.check()
        assert stack.up.interrupt() == 0
    return home


@pytest.fixture
def home(used_home: Path, tmp_path: Path) -> Path:
    """A copy of it for each test to break: a stack takes longer to start than its files to copy."""
    return shutil.copytree(used_home, tmp_path / "home", symlinks=True)


def notes_of_a_killed_run(home: Path) -> None:
    """What a run that was killed leaves."""
    run_file(home).write_text("API_PORT='1'\n")
    (home / "run" / "children.json").write_text('{"mongod": [1, 2.0]}')


@pytest.mark.parametrize("break_it", BREAK)
def test_every_state_file_at_once(break_it: Break, home: Path) -> None:
    notes_of_a_killed_run(home)
    for name in STATE:
        break_it(home / name)
    break_it(run_file(home))
    (home / "spool" / "1-1").mkdir(parents=True)
    (home / "spool" / "1-1" / "0.frames").write_text("")
    break_it(home / "spool" / "1-1" / "0.frames")

    with struck(home) as (stack, db), Others(stack.base) as others:
        with Meters(stack.broker, db, prefix="33J") as meters:
            time.sleep(LATER_SECONDS)
            meters.check()
        check_answers(others)
        said = stack.up.text
        for name in STATE:
            for path in aside(home / name) or aside((home / name).parent):
                assert path.name in said, name
        for name in ("secrets.env", "mosquitto/mosquitto.db", "run/ingest-members.json"):
            assert aside(home / name), name
        if break_it in (garbage, folder):
            assert aside(home / "valkey" / "appendonlydir")
        assert db.grid_rt_data.count_documents({}) > 0
        assert stack.up.interrupt() == 0


@pytest.mark.parametrize(
    "name, break_it",
    [
        ("mongod/data/WiredTiger.turtle", half),
        ("mongod/data/_mdb_catalog.wt", garbage),
        ("greenpower.sqlite3", garbage),
    ],
)
def test_the_files_of_a_database_stop_the_start(name: str, break_it: Break, home: Path) -> None:
    path = home / name
    break_it(path)
    broken = path.read_bytes()
    with running(home, "--no-simulator") as up:
        assert up.process.wait(90) == 2
        up.end()
        assert "docs/operations.md" in up.lines[-1]
    assert not aside(path) and (path.read_bytes() == broken or name.startswith("mongod"))


def test_an_emptied_user_database_is_a_warning(home: Path) -> None:
    (home / "greenpower.sqlite3").write_bytes(b"")
    with running(home, "--no-simulator") as up:
        up.line("ready")
        assert [line for line in up.lines if "MongoDB has telemetry" in line]
        assert up.interrupt() == 0
