"""`greenpower plugins new`: the new plugin works, in plugins/ and as a package, and no file is overwritten."""

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
    assert "greenpower plugins check shed" in made.stdout
    checked = run(tmp_path, "check")
    assert checked.returncode == 0, checked.stdout
    assert checked.stdout.startswith(f"shed (plugins.shed): {len(RULES)} of {len(RULES)} ")


def test_a_package_names_its_entry_point_and_how_to_install_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    made = CliRunner().invoke(group, ["plugins", "new", "shed", "--tcp", "SHED##", "--package", "own"])
    assert made.exit_code == 0, made.output
    assert "own/pyproject.toml\n" in made.output and "pip install -e own\n" in made.output
    text = (tmp_path / "own" / "pyproject.toml").read_text()
    assert tomllib.loads(text)["project"]["entry-points"]["greenpower.plugins"] == {"shed": "greenpower_shed"}
    again = CliRunner().invoke(group, ["plugins", "new", "shed", "--package", "own"])
    assert again.exit_code == 1 and "own/" in again.output


def test_no_file_is_overwritten(tmp_path: Path) -> None:
    files = {tmp_path / "one": "new", tmp_path / "two": "new"}
    (tmp_path / "two").write_text("old")
    with pytest.raises(PluginError, match="two"):
        write_files(files)
    assert not (tmp_path / "one").exists() and (tmp_path / "two").read_text() == "old"


@pytest.mark.parametrize(
    ("plan", "named"),
    [
        (ScaffoldPlan(name="Bad Name", topic="x"), "Bad Name"),
        (ScaffoldPlan(name="class", topic="x"), "class"),
        (ScaffoldPlan(name="rt", topic="x"), "'rt'"),
        (ScaffoldPlan(name="shed", topic="MQTT_RT_DATA"), "'MQTT_RT_DATA'"),
        (ScaffoldPlan(name="shed", topic="a/#/b"), "a/#/b"),
        (ScaffoldPlan(name="shed", registration="GWCCCL0001"), "GWCCCL0001"),
        (ScaffoldPlan(name="shed", registration="##"), "registration '##'"),
    ],
)
def test_a_bad_plan_is_refused(plan: ScaffoldPlan, named: str) -> None:
    with pytest.raises((PluginError, RegistryError, ValueError), match=named):
        make_files(plan, discover())


def test_no_other_plugin_is_needed() -> None:
    assert Path("shed", "__init__.py") in make_files(ScaffoldPlan(name="shed", topic="shed"), Registry([]))
