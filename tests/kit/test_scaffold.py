"""`greenpower plugins new`: what it writes works, wherever it is written, and it never writes over anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner

from greenpower.catalog.registry import Registry, RegistryError, discover
from greenpower.cli.main import group
from greenpower.kit.contract import RULES
from greenpower.kit.problem import PluginError
from greenpower.kit.scaffold import ScaffoldPlan, make_files, write_files

ROOT = Path(__file__).parents[2]


def run(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """`greenpower plugins ARGUMENTS` in a folder, which comes first on the path."""
    command = [sys.executable, "-m", "greenpower", "plugins", *arguments]
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def test_a_folder_in_plugins_works_at_once(tmp_path: Path) -> None:
    (tmp_path / "plugins").mkdir()
    shutil.copy(ROOT / "plugins" / "__init__.py", tmp_path / "plugins")
    made = run(tmp_path, "new", "shed", "--mqtt", "plant/+/shed")
    assert made.returncode == 0, made.stderr
    files = {"plugins/shed/__init__.py", "plugins/shed/README.md", "tests/plugins/test_shed.py"}
    assert files <= {*made.stdout.splitlines()}
    assert made.stdout.endswith("Next: greenpower plugins check shed\n")
    checked = run(tmp_path, "check")
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith(f"shed (plugins.shed): {len(RULES)} of {len(RULES)} rules kept")


def test_a_package_of_its_own_says_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(group, ["plugins", "new", "shed", "--tcp", "SHED##", "--package", "own"])
    assert made.exit_code == 0, made.output
    assert "own/pyproject.toml\n" in made.output and "\nInstall it: pip install -e own\n" in made.output
    text = (tmp_path / "own" / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["entry-points"]["greenpower.plugins"] == {"shed": "greenpower_shed"}
    again = CliRunner().invoke(group, ["plugins", "new", "shed", "--package", "own"])
    assert again.exit_code == 1 and "is there already" in again.output


def test_nothing_is_written_over(tmp_path: Path) -> None:
    files = {tmp_path / "one": "new", tmp_path / "two": "new"}
    (tmp_path / "two").write_text("old")
    with pytest.raises(PluginError, match="two is there already"):
        write_files(files)
    assert not (tmp_path / "one").exists() and (tmp_path / "two").read_text() == "old"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (ScaffoldPlan(name="Bad Name", topic="x"), "a name is of a-z"),
        (ScaffoldPlan(name="class", topic="x"), "no word of Python"),
        (ScaffoldPlan(name="rt", topic="x"), "two data types are named 'rt'"),
        (ScaffoldPlan(name="shed", topic="MQTT_RT_DATA"), "claim the topic 'MQTT_RT_DATA'"),
        (ScaffoldPlan(name="shed", topic="a/#/b"), "is not an MQTT topic filter"),
        (ScaffoldPlan(name="shed", registration="GWCCCL0001"), "claim the registration packet"),
        (ScaffoldPlan(name="shed", registration="##"), "4 to 48 printable ASCII"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(plan: ScaffoldPlan, said: str) -> None:
    with pytest.raises((PluginError, RegistryError, ValueError), match=said):
        make_files(plan, discover())


def test_a_registry_of_nothing_is_enough() -> None:
    assert Path("shed", "__init__.py") in make_files(ScaffoldPlan(name="shed", topic="shed"), Registry([]))
