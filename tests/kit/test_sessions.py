"""Plugins of protocols with a session: samples with a birth before them, and births that a plugin keeps itself."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
from click.testing import CliRunner

from greenpower.datatype.session import MAX_SESSION_BYTES
from greenpower.kit.contract import check, problems
from greenpower.kit.plugin import Plugin
from tests.kit.conftest import Edit, Make

PARSER = """
KEPT = {}


def parse(frame):
    body = decode_object(frame.payload)
    stamp = parse_time(body.get("t"))
    if frame.topic.endswith("/birth"):
        names = body.get("names")
        if not isinstance(names, dict) or not all(isinstance(name, str) for name in names.values()):
            raise FrameError("bad-birth", "names is no object of texts")
        KEPT[frame.device] = {"names": names}
        return (Noted("birth", device_id=frame.device, session={"names": names}, since=stamp),)
    session = frame.session_at(stamp)
    numbers = body.get("v")
    if not isinstance(numbers, dict):
        raise FrameError("no-values", "v is no object")
    if session is None or not numbers.keys() <= session["names"].keys():
        raise FrameError("no-session", "no birth names these values")
    values = {session["names"][number]: value for number, value in numbers.items()}
    return (Reading(device_id=frame.device or body.get("id") or "D", values=values, stamp=stamp),)


"""
IMPORTS = (
    "__init__.py",
    "import DataType",
    "import FrameError, Noted, Reading, decode_object, parse_time\nfrom greenpower.datatype import DataType",
)
DECLARED = (
    "__init__.py",
    "    open=False,\n)",
    """    open=False,
)
from dataclasses import replace
CLAIMS = (Mqtt("hub/{device}/data"), Mqtt("hub/{device}/birth"))
DATATYPE = replace(DATATYPE, parse=parse, sessions=True, match=CLAIMS)""",
)
NAMES = {"1": "power", "2": "energy", "3": "temp", "4": "state"}
VALUES = {"1": 3.5, "2": 900.25, "3": 21, "4": 1}
STAMP = "2026-11-23T12:00:00+00:00"


def plugin_of(make: Make, *edits: Edit, before: bool = True, samples: bool = True) -> Plugin:
    """A plugin with a sample of data; before: with the birth before it."""
    plugin = make(IMPORTS, ("__init__.py", "DATATYPE = DataType(", PARSER + "DATATYPE = DataType("), DECLARED, *edits)
    if samples:
        shutil.rmtree(plugin.folder / "samples")
        folder = plugin.folder / "samples" / "data"
        folder.mkdir(parents=True)
        reading = {
            "device_id": "H1",
            "stamp": STAMP,
            "complete": True,
            "payload": {name: VALUES[number] for number, name in NAMES.items()},
        }
        expected: dict[str, Any] = {"topic": "hub/H1/data", "readings": [reading]}
        (folder / "frame.json").write_text(json.dumps({"t": STAMP, "v": VALUES}))
        (folder / "birth.json").write_text(json.dumps({"t": STAMP, "names": NAMES}))
        if before:
            expected["before"] = {"birth.json": "hub/H1/birth"}
        (folder / "expected.json").write_text(json.dumps(expected))
        with (plugin.folder / "README.md").open("a") as readme:
            readme.write("Devices publish to `hub/{device}/birth` first, then to `hub/{device}/data`.\n")
    return plugin


def first(plugin: Plugin, rule: str) -> str:
    """What a rule finds first."""
    return problems(plugin, rule)[0].found


def test_a_plugin_with_sessions_keeps_all_rules(make: Make) -> None:
    assert "\n".join(map(str, check(plugin_of(make)))) == ""


def test_births_that_a_plugin_keeps_itself_are_found(make: Make) -> None:
    kept = ("__init__.py", "session = frame.session_at(stamp)", "session = KEPT.get(frame.device)")
    assert "without the birth before it" in first(plugin_of(make, kept), "sessions")
    either = ("__init__.py", "session = frame.session_at(stamp)", "session = frame.session or KEPT.get(frame.device)")
    assert "without the birth before it" in first(plugin_of(make, either), "sessions")


def test_a_session_that_is_changed_is_found(make: Make) -> None:
    changed = ("__init__.py", "    values = {session", '    session["names"]["5"] = "power"\n    values = {session')
    assert "TypeError" in first(plugin_of(make, changed), "samples")


def test_a_guess_without_a_birth_is_found(make: Make) -> None:
    guess = (
        "__init__.py",
        "session = frame.session_at(stamp)",
        'session = frame.session_at(stamp) or {"names": {str(n): "power" for n in range(9)}}',
    )
    assert "without the birth before it" in first(plugin_of(make, guess), "sessions")


def test_a_sample_without_the_birth_that_it_needs(make: Make) -> None:
    plugin = plugin_of(make, before=False)
    assert "rejected" in first(plugin, "samples") and "no sample has a birth" in first(plugin, "sessions")


def test_a_birth_of_another_device_is_none(make: Make) -> None:
    plugin = plugin_of(make)
    path = plugin.folder / "samples" / "data" / "expected.json"
    path.write_text(path.read_text().replace("hub/H1/birth", "hub/H2/birth"))
    assert "no births of its device" in first(plugin, "sessions")


def test_sessions_are_declared_and_can_be_kept(make: Make) -> None:
    undeclared = plugin_of(make, ("__init__.py", "sessions=True, ", ""))
    assert "sessions=True" in first(undeclared, "sessions")
    long = ("__init__.py", 'session={"names": names}', f'session={{"names": names, "x": "x" * {MAX_SESSION_BYTES}}}')
    assert "session-too-large" in first(plugin_of(make, long), "sessions")


def test_a_birth_that_does_not_end_is_found(make: Make) -> None:
    loop = ("__init__.py", "        names = body", "        while True:\n            pass\n        names = body")
    plugin = plugin_of(make, loop)
    assert problems(plugin, "deadline")[0].topic == "hub/H1/birth" and not problems(plugin, "samples")


def test_a_birth_file_that_is_missing(make: Make) -> None:
    plugin = plugin_of(make)
    (plugin.folder / "samples" / "data" / "birth.json").unlink()
    assert "FileNotFoundError" in first(plugin, "samples")


def test_try_reads_a_frame_with_what_came_before(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    from greenpower.cli import kit

    plugin = plugin_of(make)
    folder = plugin.folder / "samples" / "data"
    monkeypatch.setattr(kit, "find_plugin", lambda *_: plugin)
    arguments = [plugin.name, str(folder / "frame.json"), "--topic", "hub/H1/data", "--received", "2026-11-23T12:00:05"]
    assert CliRunner().invoke(kit.try_frame, arguments).exit_code == 1
    arguments += ["--before", "hub/H1/birth", str(folder / "birth.json"), "--keep", "again"]
    result = CliRunner().invoke(kit.try_frame, arguments)
    assert result.exit_code == 0, result.output
    saved = plugin.folder / "samples" / "again"
    content = json.loads((saved / "expected.json").read_text())
    assert content["before"] == {"before.json": "hub/H1/birth"} and content["readings"][0]["payload"]["power"] == 3.5
    assert (saved / "before.json").read_bytes() == (folder / "birth.json").read_bytes()
    assert problems(plugin_reread(plugin), "samples") == []


def plugin_reread(plugin: Plugin) -> Plugin:
    """The plugin with its samples read again."""
    return Plugin(origin=plugin.origin, folder=plugin.folder, datatypes=plugin.datatypes, registry=plugin.registry)
