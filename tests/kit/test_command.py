"""`greenpower plugins check` and `try` from the command line."""

from __future__ import annotations

import json
import re
from pathlib import Path
from shutil import rmtree

import pytest
from click.testing import CliRunner, Result

from greenpower.cli.main import group
from greenpower.kit.contract import RULES, problems
from tests.kit.conftest import Make


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DEVICE_TIMEZONE", "Asia/Dhaka")


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(group, ["plugins", *map(str, arguments)])


def fails(path: Path, content: str, *options: str) -> str:
    path.write_text(content)
    result = run("try", "rt", path, *options)
    assert result.exit_code == 1
    return result.output


def test_check_names_broken_rules_and_exits_with_1(make: Make) -> None:
    plugin = make(("README.md", "| kW |", "| MW |"), ("__init__.py", 'title="active power"', 'title=""'))
    result = run("check", plugin.name)
    assert result.exit_code == 1
    assert f"{plugin.name} ({plugin.origin}): {len(RULES) - 2} of {len(RULES)} " in result.output
    assert f"[README] {plugin.origin}/README.md\n" in result.output
    assert f"[fields] {plugin.origin}/__init__.py: field power\n" in result.output
    for problem in [*problems(plugin, "README"), *problems(plugin, "fields")]:
        assert all(part in result.output for part in (problem.found, problem.expected, problem.fix))


def test_check_of_one_plugin_checks_no_other() -> None:
    result = run("check", "environment")
    assert result.exit_code == 0 and result.output.count("\n") == 1
    assert result.output.startswith("environment (plugins.environment): ")


def test_an_unknown_plugin_is_named() -> None:
    result = run("check", "nothing")
    assert result.exit_code == 1 and "'nothing'" in result.output and "environment, " in result.output


def test_try_shows_readings_ignored_values_statistics_and_the_answer(tmp_path: Path) -> None:
    path = tmp_path / "frame.json"
    path.write_text('{"id":"33B1225950027","time":"20261123203000","isend":"1","ua":229.5,"ub":9e9,"UXJA":12}\n')
    result = run("try", "rt", path, "--received", "2026-11-23T14:30:09")
    assert result.exit_code == 0
    text = result.output
    assert "MQTT_RT_DATA\n\nframe.json\n" in text and "33B1225950027 at 2026-11-23 14:30:00 UTC " in text
    assert "    ua                          229.5 V\n" in text
    assert re.search(r"^ +ub .*\bout-of-range$", text, re.MULTILINE)
    assert re.search(r"\b1m .*2026-11-23 14:30 UTC, 33B1225950027\n", text)
    assert "229.5 V  (n 1, sum 229.5, min 229.5, max 229.5, mean 229.5, seconds 0.0, first 229.5, last 229.5)" in text
    _, _, answer = text.partition("GET /api/telemetry/rt-data/\n")
    (row,) = json.loads(answer)["results"]
    assert row["payload"] == {"ua": 229.5, "uxja": 12}
    assert (row["timestamp"], row["topic"]) == ("2026-11-23T14:30:00.000Z", "MQTT_RT_DATA")


def test_packets_of_one_reading_are_merged_and_energy_is_counted(tmp_path: Path) -> None:
    for number, values in enumerate(('"zygsz":100,"fygsz":7', '"zwgsz":5')):
        (tmp_path / f"frame_{number}.json").write_text(f'{{"id":"M","time":"20261123203000","isend":"0",{values}}}')
    (tmp_path / "later.json").write_text('{"id":"M","time":"20261123204500","isend":"1","zygsz":101.5}')
    names = ("frame_0.json", "frame_1.json", "later.json")
    text = run("try", "eny_now", *names, "--received", "2026-11-23T14:46:00").output
    assert json.loads(text.partition("eny-now-data/\n")[2])["count"] == 2
    assert "first 100, last 101.5, energy 1.5" in text


def test_a_wrong_clock_is_shown(tmp_path: Path) -> None:
    path = tmp_path / "frame.json"
    path.write_text('{"id":"M","time":"20050101000000","ua":230}')
    text = run("try", "rt", path, "--received", "2026-11-23T14:46:00").output
    assert "2026-11-23 14:46:00 UTC" in text and "2005-01-01 00:00:00" in text


def test_a_rejected_frame_shows_its_reason(tmp_path: Path) -> None:
    path = tmp_path / "frame.json"
    assert "rejected: not-json" in fails(path, "{")
    assert "rejected: no-id" in fails(path, '{"ua":230}')
    assert "rejected: zero-frame" in fails(path, '{"id":"M","ua":0,"ub":0}')
    assert "'x'" in fails(path, "{}", "--topic", "x")
    assert "frame.hex" in fails(tmp_path / "frame.hex", "zz")


def test_a_frame_can_be_saved_as_a_sample(make: Make, tmp_path: Path) -> None:
    plugin = make()
    (tmp_path / "hot.json").write_text('{"id":"S-7","time":"20261123203000","power":1.5,"temp":400}\n')
    result = run("try", plugin.name, "hot.json", "--keep", "hot")
    assert result.exit_code == 0 and f" {plugin.origin}/samples/hot\n" in result.output
    expected = json.loads((plugin.folder / "samples" / "hot" / "expected.json").read_text())
    assert expected["readings"][0]["left_out"] == {"temp": "out-of-range"}
    assert run("check", plugin.name).exit_code == 1
    odd = run("try", plugin.name, "hot.json", "--keep", "very_hot", "--odd", "the sensor is broken")
    assert odd.exit_code == 0
    rmtree(plugin.folder / "samples" / "hot")
    plugin.folder.joinpath("samples", "very_hot").rename(plugin.folder / "samples" / "hot")
    assert run("check", plugin.name).exit_code == 0
    again = run("try", plugin.name, "hot.json", "--keep", "hot")
    assert again.exit_code == 1 and f"{plugin.origin}/samples/hot " in again.output


def test_a_round_of_a_gateway_can_be_tried(make: Make) -> None:
    plugin = make(tcp="SHED##")
    text = run("try", plugin.name, plugin.folder / "samples" / "as_sent" / "frame.hex").output
    assert f"tcp/{plugin.name}/SHED00" in text
    assert "    power                       12.5 kW\n" in text
