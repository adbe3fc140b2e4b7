"""The command line: every command is there, explains itself, and fails in one line."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click
import orjson
import pytest
from click.testing import CliRunner

from greenpower import __version__
from greenpower.catalog.registry import load_registry
from greenpower.cli.main import group
from tests.command import run_cli


def every_command() -> Iterator[tuple[str, click.Command]]:
    """All commands and groups, with the words that call them."""

    def walk(words: str, command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Command]]:
        yield words, command
        if isinstance(command, click.Group):
            for name in command.list_commands(context):
                child = command.get_command(context, name)
                assert child is not None
                yield from walk(f"{words} {name}", child, context)

    yield from walk("greenpower", group, click.Context(group))


@pytest.mark.parametrize("words", [words for words, command in every_command() if isinstance(command, click.Group)])
def test_one_line_says_all_of_a_command_in_a_list(words: str) -> None:
    """At 80 columns click cuts a longer one and puts dots at its end."""
    result = CliRunner().invoke(group, [*words.split()[1:], "--help"], terminal_width=80)
    assert result.exit_code == 0
    _, listed = result.output.split("\nCommands:\n")
    assert listed and not [line for line in listed.splitlines() if line.endswith("...")]


@pytest.mark.parametrize("words", [words for words, _ in every_command()])
def test_each_command_and_each_option_is_explained(words: str) -> None:
    command = dict(every_command())[words]
    assert command.help and command.help.strip()
    assert all(option.help for option in command.params if isinstance(option, click.Option))
    result = CliRunner().invoke(group, [*words.split()[1:], "--help"], terminal_width=80)
    assert result.exit_code == 0 and "--help" in result.output


def test_an_unknown_command_is_told_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, tmp_path, "nonsense") == 2
    assert "'nonsense'" in capsys.readouterr().err


def test_a_bad_setting_is_one_line_and_exit_2(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, tmp_path, "config", API_PORT="x") == 2
    told = capsys.readouterr().err
    assert told.startswith("greenpower: API_PORT=x ") and told.count("\n") == 1


def test_several_bad_settings_are_a_line_each(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_cli(monkeypatch, tmp_path, "config", API_PORT="x", MQTT_TLS="perhaps") == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in told] == [["greenpower:", "MQTT_TLS=perhaps"], ["greenpower:", "API_PORT=x"]]


def test_config_shows_settings_and_masks_secrets(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    secrets = {"MONGO_DB_URI": "mongodb://u:hunter2@h/", "ADMIN_PASSWORD": "hunter2"}
    assert run_cli(monkeypatch, tmp_path, "config", settings=None, API_PORT="8123", **secrets) == 0
    shown = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines() if len(line.split()) > 1)
    assert shown["API_PORT"] == "8123" and shown["ADMIN_PASSWORD"] == shown["MONGO_DB_URI"] == "********"


def test_the_version_is_ours_and_starts_quickly_as_a_process() -> None:
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "greenpower", "--version"],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert __version__ in run.stdout
    # No command pays for the others: what they need is imported when they are called.
    assert not any(name in run.stderr for name in ("flask", "pymongo", "gmqtt", "sqlalchemy"))


@pytest.fixture
def listed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> list[dict[str, Any]]:
    assert run_cli(monkeypatch, tmp_path, "plugins", "--json") == 0
    found: list[dict[str, Any]] = orjson.loads(capsys.readouterr().out)
    return found


def test_plugins_lists_what_is_loaded_and_what_was_derived(listed: list[dict[str, Any]]) -> None:
    registry = load_registry(None)
    assert [item["name"] for item in listed] == [datatype.name for datatype in registry]
    rt = next(item for item in listed if item["name"] == "rt")
    assert rt["plugin"] == "plugins.rt" and rt["endpoint"] == "/api/telemetry/rt-data/" and rt["room"] == "type:rt"
    assert rt["topics"] == ["MQTT_RT_DATA", "MQTT_TELEIND"] and "MQTT_TELEIND" in rt["noted_topics"]
    assert rt["collections"][:2] == [
        {"name": "grid_rt_data", "resolution": "raw", "kept_seconds": 0},
        {"name": "today_grid_rt_data", "resolution": "1m", "kept_seconds": 86_400},
    ]
    assert "device_id, timestamp (unique)" in rt["indexes"]
    assert {field["name"]: field["unit"] for field in rt["fields"]}["zyggl"] == "kW"


def test_plugins_says_the_same_to_people(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], listed: list[dict[str, Any]]
) -> None:
    assert run_cli(monkeypatch, tmp_path, "plugins", MONGO_TODAY_TTL_SECONDS="172800") == 0
    text = capsys.readouterr().out
    for item in listed:
        assert f"{item['name']}: {item['title']}\n" in text
        assert all(collection["name"] in text for collection in item["collections"])
        assert all(field["name"] in text for field in item["fields"])
        assert not item["endpoint"] or item["endpoint"] in text
    assert re.search(r"\btoday_grid_rt_data, 1m\b.*\b2 days\b", text) and "grid_rt_data, raw" in text
    assert run_cli(monkeypatch, tmp_path, "plugins", "--no-fields") == 0
    assert "zyggl" not in capsys.readouterr().out
