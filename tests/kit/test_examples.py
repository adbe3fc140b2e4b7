"""The examples in docs/examples: equal to the tutorial, loaded by their entry points, stored by the real ingest."""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pymongo import MongoClient

from greenpower.catalog.registry import discover
from greenpower.config import Settings
from greenpower.kit.contract import check
from greenpower.kit.plugin import find_plugin
from greenpower.kit.rules.imports import python_lines
from tests.blocks import ROOT, commands
from tests.ingest.conftest import Publisher
from tests.kit.conftest import declare_installed
from tests.process import Command
from tests.wait import wait_until

EXAMPLES = ROOT / "docs" / "examples"
TUTORIAL = ROOT / "docs" / "plugin-tutorial.md"
NAMES = ("battery", "inverter", "plug", "pump", "station")
WRITTEN = re.compile(r"^cat > (\S+) <<'END'\n(.*?)^END\n", re.MULTILINE | re.DOTALL)


def package(name: str) -> Path:
    return EXAMPLES / f"greenpower-{name}" / f"greenpower_{name}"


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Both examples, installed. Gives the PYTHONPATH on which a process finds them."""
    folders = [tmp_path, *(package(name).parent for name in NAMES)]
    for folder in folders:
        monkeypatch.syspath_prepend(str(folder))
    for name in NAMES:
        declare_installed(tmp_path, name, f"greenpower_{name}")
    yield ":".join(map(str, folders))
    for name in NAMES:
        sys.modules.pop(f"greenpower_{name}", None)


def test_the_examples_equal_the_tutorial() -> None:
    # Of what is written twice, such as a frame to try, the first is meant.
    blocks = reversed(commands(TUTORIAL))
    written = {path: text for block in blocks for path, text in reversed(WRITTEN.findall(block.text))}
    assert written["plugins/battery/__init__.py"] == (package("battery") / "__init__.py").read_text()
    test = EXAMPLES / "greenpower-battery" / "tests" / "test_battery.py"
    assert written["tests/plugins/test_battery.py"] == test.read_text()
    frame = package("battery") / "samples" / "discharging" / "frame.json"
    assert written["frame.json"] == frame.read_text()
    for path, text in written.items():
        if path.startswith("../") and not path.endswith(".md"):
            assert text == (EXAMPLES / path.removeprefix("../")).read_text(), path


def test_the_examples_keep_every_rule(installed: str) -> None:
    registry = discover()
    for name in NAMES:
        plugin = find_plugin(registry, name)
        assert plugin.origin == f"greenpower_{name}"
        assert "\n".join(map(str, check(plugin))) == ""


def test_the_smallest_example_is_short() -> None:
    assert min(python_lines(package(name)) for name in NAMES) < 40


def test_frames_and_simulated_devices_of_the_examples_are_stored(
    installed: str, settings: Settings, broker: tuple[str, int], tmp_path: Path
) -> None:
    env = {"PYTHONPATH": installed}
    sample = package("battery") / "samples" / "discharging"
    with (
        Command(settings, "ingest", "--mqtt", "--tcp", folder=tmp_path, env=env) as ingest,
        MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value()) as client,
    ):
        ingest.wait_healthy()
        db = client[settings.mongo_db_name]
        publisher = Publisher(*broker)
        publisher.send("site/BESS-1/battery", (sample / "frame.json").read_bytes())
        publisher.flush()
        publisher.close()
        stored = wait_until(lambda: db.battery_data.find_one({"device_id": "BESS-1"}), 20)
        assert (
            stored and stored["payload"] == json.loads((sample / "expected.json").read_text())["readings"][0]["payload"]
        )
        args = ("simulate", "--type", "battery,inverter", "--devices", "2", "--rate", "4", "--count", "24")
        with Command(settings, *args, folder=tmp_path, env=env) as simulator:
            assert simulator.process.wait(60) == 0
        wait_until(lambda: {"1", "2"} <= {d[-1] for d in db.inverter_data.distinct("device_id")}, 20)
        assert set(db.telemetry_events.distinct("outcome", {"type": "battery"})) == {"stored"}
        assert not db.telemetry_events.count_documents({"left_out": {"$exists": True}})
        assert ingest.stop() == 0


def test_a_dialogue_of_a_plugin_is_held_by_the_real_ingest(installed: str, settings: Settings, tmp_path: Path) -> None:
    """A pump that answers byte by byte, says something unasked in between, and connects again."""
    answers = {b"?P\r": b"P=1.52\r\n", b"?Q\r": b"hello\r\nQ=12.5\r\n", b"?E\r": b"E=8123.4\r\n"}
    with (
        Command(settings, "ingest", "--tcp", folder=tmp_path, env={"PYTHONPATH": installed}) as ingest,
        MongoClient[dict[str, Any]](settings.mongo_db_uri.get_secret_value()) as client,
    ):
        ingest.wait_healthy().wait_listening(settings.tcp_port)
        db = client[settings.mongo_db_name]
        for number in (1, 2):
            with socket.create_connection(("127.0.0.1", settings.tcp_port), timeout=60) as pump:
                pump.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                pump.sendall(b"PUMP00")
                pump.sendall(b"07")
                for question in answers:
                    asked = b""
                    while not asked.endswith(b"\r"):
                        asked += pump.recv(1)
                    assert asked == question
                    for byte in answers[asked]:
                        pump.sendall(bytes([byte]))
                wait_until(lambda n=number: db.pump_data.count_documents({}) >= n, 20)  # type: ignore[misc]
        for stored in db.pump_data.find():
            assert (stored["device_id"], stored["topic"]) == ("PUMP0007", "tcp/pump/PUMP0007")
            assert stored["payload"] == {"power": 1.52, "flow": 12.5, "energy": 8123.4}
        assert db.telemetry_events.count_documents({"reason": "unasked-answer"}) == 2
        assert ingest.stop() == 0
