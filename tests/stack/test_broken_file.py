"""Broken files of the home: each is set aside with one line that says what is lost, and the stack starts without it."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
import redis

from greenpower.broken_file import set_aside
from greenpower.config import ConfigError, load_settings, run_file
from greenpower.stack import Mongod, Mosquitto, Part, Valkey
from greenpower.stack.broker_file import broker_file_trouble
from greenpower.stack.child import Child, part_child
from greenpower.stack.home import generated_keys, write_private
from greenpower.stack.ingest_pool import note_ids, noted_ids
from greenpower.stack.stale_processes import end_stale_processes, mark, note_children
from greenpower.stack.supervisor import Supervisor
from tests.memory import SmallMongod
from tests.stack.test_mosquitto import publish, subscribe
from tests.stack.test_supervisor import Lines


def half(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def empty(path: Path) -> None:
    path.write_bytes(b"")


def garbage(path: Path) -> None:
    path.write_bytes(b"\xff\x00\xfe" + os.urandom(2_000))


def folder(path: Path) -> None:
    path.unlink(missing_ok=True)
    path.mkdir()


BREAK = (half, empty, garbage, folder)
Break = Callable[[Path], None]
of_each_kind = pytest.mark.parametrize("break_it", BREAK)


def aside(path: Path) -> list[Path]:
    return list(path.parent.glob(f"{path.name}.broken-*"))


def started(part: Part) -> list[str]:
    """Start a part as the supervisor does, and stop it again; the warnings that were said."""
    say = Lines()

    async def scenario() -> None:
        async with Supervisor(say) as supervisor, asyncio.timeout(60):
            await supervisor.start(part_child(part))

    asyncio.run(scenario())
    return [line for line in say.of(part.name) if "warning" in line]


def test_a_file_is_set_aside_and_never_over_another(tmp_path: Path) -> None:
    path = tmp_path / "note"
    for text in ("one", "two", "three"):
        path.write_text(text)
        assert str(path) in set_aside(path, "why-1", "lost-1")
    assert sorted(item.read_text() for item in aside(path)) == ["one", "three", "two"]
    with pytest.raises(ConfigError, match="note"):
        set_aside(path, "why-1", "lost-1")


@pytest.fixture(scope="module")
def broker_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    home = tmp_path_factory.mktemp("whole")
    with Mosquitto(home) as broker:
        subscribe(broker)
        publish(broker, 50, 1)
    return (home / "mosquitto.db").read_bytes()


@of_each_kind
def test_a_broken_queue_of_the_broker_is_set_aside(break_it: Break, broker_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mosquitto.db"
    path.write_bytes(broker_file)
    assert broker_file_trouble(path) == ""
    break_it(path)
    [line] = started(Mosquitto(tmp_path))
    [kept] = aside(path)
    assert kept.name in line
    assert path.is_file() and broker_file_trouble(path) == ""


def test_a_whole_queue_of_the_broker_is_left_alone(broker_file: bytes, tmp_path: Path) -> None:
    (tmp_path / "mosquitto.db").write_bytes(broker_file)
    assert started(Mosquitto(tmp_path)) == []
    assert aside(tmp_path / "mosquitto.db") == []


def test_a_queue_cut_off_anywhere_is_seen(broker_file: bytes, tmp_path: Path) -> None:
    path = tmp_path / "mosquitto.db"
    whole = {len(broker_file)}
    for size in range(0, len(broker_file), 37):
        path.write_bytes(broker_file[:size])
        if broker_file_trouble(path) == "":
            whole.add(size)
    # A cut between two chunks cannot be told from a shorter queue.
    assert len(whole) < len(broker_file) / 37 / 10
    for at in (3, 40, len(broker_file) // 2):
        path.write_bytes(broker_file[:at] + bytes(len(broker_file) - at))
        assert broker_file_trouble(path)


@pytest.mark.parametrize("name", ["mosquitto.conf", "mosquitto.db.new"])
def test_a_folder_where_the_broker_writes_a_file(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    [line] = started(Mosquitto(tmp_path))
    assert aside(tmp_path / name)[0].name in line


FILES = ("appendonly.aof.manifest", "appendonly.aof.1.base.rdb", "appendonly.aof.1.incr.aof")


@pytest.fixture(scope="module")
def valkey_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole-valkey")
    with Valkey(home) as part, redis.Redis.from_url(part.url) as client:
        for number in range(100):
            client.set(f"key-{number}", "x" * 50)
    return home


@of_each_kind
@pytest.mark.parametrize("name", FILES)
def test_what_valkey_cannot_read_is_set_aside(name: str, break_it: Break, valkey_home: Path, tmp_path: Path) -> None:
    """It reads on where only the end of its log is missing, and says so itself."""
    home = tmp_path / "valkey"
    shutil.copytree(valkey_home, home)
    store = home / "appendonlydir"
    break_it(store / name)
    lines = started(Valkey(home))
    assert [path.name in line for path, line in zip(aside(store), lines, strict=True)] == [True] * len(lines)
    assert len(lines) <= 1
    if break_it in (garbage, folder):
        assert lines
    assert store.is_dir()


def test_a_full_disk_is_no_damage(tmp_path: Path) -> None:
    part = Valkey(tmp_path)
    (tmp_path / "appendonlydir").mkdir()
    part.show("1:M # Fatal: Error writing to the AOF file: No space left on device")
    assert part.before_start() == []
    part.answered()
    part.show("1:M # Short write while writing to the AOF file: (nwritten=576, expected=904)")
    assert part.before_start() == []
    part.show("1:M # Bad file format reading the append only file")
    assert len(part.before_start()) == 1


@pytest.fixture(scope="module")
def mongod_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("whole-mongod")
    with SmallMongod(home):
        pass
    return home


@pytest.mark.parametrize(
    "name, break_it",
    [("WiredTiger.turtle", half), ("storage.bson", empty)]
    + [
        pytest.param(name, break_it, marks=pytest.mark.slow)
        for name in ("WiredTiger.turtle", "WiredTiger.wt", "storage.bson", "_mdb_catalog.wt", "sizeStorer.wt")
        for break_it in BREAK
    ],
)
def test_data_of_mongod_is_never_moved_and_the_start_stops(
    name: str, break_it: Break, mongod_home: Path, tmp_path: Path
) -> None:
    home = tmp_path / "mongod"
    shutil.copytree(mongod_home, home)
    break_it(home / "data" / name)
    with pytest.raises(ConfigError) as caught:
        started(SmallMongod(home))
    [line] = str(caught.value).split("\n")
    assert str(home / "data") in line and "docs/operations.md" in line
    assert not list(home.rglob("*.broken-*"))


@of_each_kind
def test_the_lock_of_mongod(break_it: Break, mongod_home: Path, tmp_path: Path) -> None:
    home = tmp_path / "mongod"
    shutil.copytree(mongod_home, home)
    (home / "data" / "mongod.lock").write_text("1234\n")
    break_it(home / "data" / "mongod.lock")
    assert len(started(SmallMongod(home))) == (break_it is folder)


@pytest.mark.parametrize("kind", [Mongod, Valkey, Mosquitto])
def test_a_file_where_a_folder_should_be_is_one_line(kind: type[Part], tmp_path: Path) -> None:
    (tmp_path / "home").touch()
    with pytest.raises(ConfigError, match="home"):
        started(kind(tmp_path / "home"))


def test_a_running_stack_goes_on_where_one_child_has_no_hope(monkeypatch: pytest.MonkeyPatch) -> None:
    """It has answered before: it is tried again and again, and the others are left alone."""
    monkeypatch.setattr("greenpower.stack.restarter.FIRST_DELAY", 0.01)
    monkeypatch.setattr("greenpower.stack.restarter.LONGEST_DELAY", 0.02)
    say, broken = Lines(), False

    def before() -> list[str]:
        return ["said-1"]

    def trouble(pid: int) -> str:
        return "" if not broken else "broken"

    async def scenario() -> None:
        nonlocal broken
        child = Child(
            name="child",
            command=("sh", "-c", "test -e gone && exit 14; sleep 0.3"),
            trouble=trouble,
            before=before,
            hopeless=lambda code: "reason-23",
        )
        async with Supervisor(say) as supervisor, asyncio.timeout(60):
            await supervisor.start(child)
            broken = True
            while sum("reason-23" in line for line in say.of("child")) < 3:
                await asyncio.sleep(0.02)
            await supervisor.start(Child(name="other", command=("sleep", "100")))

    asyncio.run(scenario())
    assert say.of("child").count("said-1") >= 3


@of_each_kind
def test_broken_keys_are_made_anew_and_said(break_it: Break, tmp_path: Path) -> None:
    said: list[str] = []
    first = generated_keys(tmp_path, said.append)
    assert generated_keys(tmp_path, said.append) == first and not said
    break_it(tmp_path / "secrets.env")
    second = generated_keys(tmp_path, said.append)
    [line] = said
    assert aside(tmp_path / "secrets.env")[0].name in line and "JWT_SIGNING_KEY" in line
    assert first.keys() == second.keys() and first != second
    assert generated_keys(tmp_path, said.append) == second
    if break_it is half:
        assert first["SECRET_KEY"] == second["SECRET_KEY"]


@of_each_kind
def test_broken_notes_of_an_earlier_run(break_it: Break, tmp_path: Path) -> None:
    said: list[str] = []
    note_ids(tmp_path, ["a", "b"])
    note_children(tmp_path, {"me": os.getpid()})
    assert noted_ids(tmp_path, said.append) == {"a", "b"}
    for name in ("ingest-members.json", "children.json"):
        break_it(tmp_path / "run" / name)
    assert noted_ids(tmp_path, said.append) == set()
    assert end_stale_processes(tmp_path, said.append) == []
    assert len(said) == 2 and len(list((tmp_path / "run").glob("*.broken-*"))) == 2


@pytest.mark.parametrize("text", ["{}", "[1]", "7", '{"a": 1}', '{"a": ["x", "y"]}', "[[]]"])
def test_notes_of_another_shape(text: str, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    for name in ("ingest-members.json", "children.json"):
        (tmp_path / "run" / name).write_text(text)
    assert noted_ids(tmp_path) == set()
    assert end_stale_processes(tmp_path) == []


def test_a_child_that_could_not_be_noted_is_found_by_its_mark(tmp_path: Path) -> None:
    """The note failed, as on a full disk, and its supervisor was killed."""
    other = subprocess.Popen(["sleep", "1000"], start_new_session=True, env={**os.environ, **mark(tmp_path / "x")})
    left = subprocess.Popen(["sleep", "1000"], start_new_session=True, env={**os.environ, **mark(tmp_path)})
    with left, other:
        [name] = end_stale_processes(tmp_path)
        assert str(left.pid) in name
        assert left.wait(60) and other.poll() is None
        other.kill()


@pytest.mark.parametrize("name", ["note", "note.new"])
def test_a_folder_in_the_way_of_a_note(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    write_private(tmp_path / "note", json.dumps({}))
    assert (tmp_path / "note").read_text() == "{}"


def test_a_broken_file_of_settings_of_a_run_is_one_line(tmp_path: Path) -> None:
    run_file(tmp_path).parent.mkdir()
    garbage(run_file(tmp_path))
    with pytest.raises(ConfigError, match=r"settings\.env"):
        load_settings(greenpower_home=tmp_path)
    assert load_settings(of_run=False, greenpower_home=tmp_path).greenpower_home == tmp_path
