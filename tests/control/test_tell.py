"""`greenpower devices commands` and `tell`: commands from the machine itself."""

from __future__ import annotations

import io
import sys
from contextlib import closing
from pathlib import Path

import pytest

from greenpower.config import Settings
from greenpower.sql import DeviceStatus
from tests.command import run_cli
from tests.control.conftest import World
from tests.process import Command


class Console:
    """The command line: `greenpower devices ARGUMENTS`, its exit code and what it says."""

    def __init__(self, world: World, patch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], folder: Path):
        self.world, self.patch, self.capsys, self.folder = world, patch, capsys, folder

    def __call__(self, *arguments: str, settings: Settings | None = None) -> tuple[int, str]:
        using = settings or self.world.settings
        with self.patch.context() as patch:
            code = run_cli(patch, self.folder, "devices", *arguments, settings=using)
        said = self.capsys.readouterr()
        return code, said.out + said.err


@pytest.fixture
def console(
    world: World, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> Console:
    return Console(world, monkeypatch, capsys, tmp_path)


def states_of(world: World, number: int) -> list[str]:
    """The states of the commands for a device."""
    return [row["state"] for row in world.api.get(f"/api/devices/{number}/commands/").get_json()["results"]]


def test_a_device_is_told_and_says_that_it_is_done(world: World, console: Console, tmp_path: Path) -> None:
    number, name = world.device()
    with closing(world.meter(name)), Command(world.settings, "worker", folder=tmp_path) as worker:
        code, said = console("tell", name, "set_interval", "interval=300")
        # Stopped, not killed: the process of its job would live on, and send what the next tests queue.
        assert worker.stop() == 0
    assert code == 0
    (found,) = world.api.get(f"/api/devices/{number}/commands/").get_json()["results"]
    assert (found["state"], found["verified"]) == ("done", True)
    assert (found["requested_by"], found["parameters"]) == ("console", {"interval": 300})
    code, said = console("commands", name)
    assert code == 0 and {"set_interval", "on=on|off", str(found["id"]), "interval=300"} <= set(said.split())


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("explode",), "'explode'"),
        (("set_interval",), "interval:"),
        (("set_interval", "interval=31"), "interval:"),
        (("set_interval", "interval=often"), "interval:"),
        (("set_interval", "interval=60", "more"), "more:"),
        (("relay", "on=maybe"), "on:"),
    ],
)
def test_what_is_not_declared_is_refused(world: World, console: Console, arguments: tuple[str, ...], key: str) -> None:
    number, name = world.device()
    code, said = console("tell", name, *arguments)
    assert code == 2 and key in said.split() and len(said.splitlines()) == 1
    assert states_of(world, number) == []


def test_a_device_must_be_there_and_one_of_a_kind_is_open(world: World, console: Console) -> None:
    code, said = console("commands", "nobody")
    assert code == 2 and "'nobody'" in said and len(said.splitlines()) == 1
    number, name = world.device()
    assert console("tell", name, "set_time", "--no-wait")[0] == 0
    assert states_of(world, number) == ["queued"]
    code, said = console("tell", name, "set_time", "--no-wait")
    assert code == 2 and {"set_time", name} <= set(said.split()) and len(said.splitlines()) == 1
    assert states_of(world, number) == ["queued"]


def test_a_relay_is_asked_about_and_off_until_the_site_lets_it(
    world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, name = world.device()
    locked = world.settings.model_copy(update={"downlink_interlocked": ""})
    code, said = console("tell", name, "relay", "on=on", "--yes", settings=locked)
    assert code == 2 and "DOWNLINK_INTERLOCKED" in said
    away, offline = world.device(status=DeviceStatus.OFFLINE)
    code, said = console("tell", offline, "relay", "on=on", "--yes")
    assert code == 2 and len(said.splitlines()) == 1 and states_of(world, away) == []
    monkeypatch.setattr(sys, "stdin", io.StringIO("n\n"))
    assert console("tell", name, "relay", "on=off")[0] == 1, "nobody said yes"
    assert states_of(world, number) == []
    assert console("tell", name, "relay", "on=off", "--yes", "--no-wait")[0] == 0


def test_a_command_that_is_not_done_ends_with_1(
    world: World, console: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("greenpower.cli.tell.LATE_SECONDS", -59.5)
    number, name = world.device()
    assert console("tell", name, "read_interval")[0] == 1
    assert states_of(world, number) == ["queued"]
