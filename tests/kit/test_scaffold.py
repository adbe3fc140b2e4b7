"""`greenpower plugins new`: what it writes works, wherever it is written, and it never writes over anything."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from greenpower.kit.plugin import plugins_of
from greenpower.kit.problem import PluginError
from greenpower.kit.scaffold import Plan, make_files, write_files
from greenpower.registry import PACKAGE, Registry, RegistryError, discover
from tests.kit.conftest import declare_installed

ROOT = Path(__file__).parents[2]


def run(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """A Python module's command in a folder, which comes first on the path."""
    env = {**os.environ, "PYTHONPATH": str(folder)}
    return subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, env=env, capture_output=True, text=True, timeout=60
    )


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree as one has after cloning, as far as plugins go."""
    (tmp_path / "plugins").mkdir()
    shutil.copy(ROOT / "plugins" / "__init__.py", tmp_path / "plugins")
    shutil.copytree(ROOT / "plugins" / "rt", tmp_path / "plugins" / "rt")
    return tmp_path


def test_a_folder_in_plugins_works_at_once(tree: Path) -> None:
    made = run(tree, "greenpower", "plugins", "new", "shed", "--mqtt", "plant/+/shed")
    assert made.returncode == 0, made.stderr
    assert {"plugins/shed/__init__.py", "plugins/shed/README.md", "tests/plugins/test_shed.py"} <= {
        *made.stdout.splitlines()
    }
    assert made.stdout.endswith("Next: greenpower plugins check shed\n")
    checked = run(tree, "greenpower", "plugins", "check")
    assert checked.returncode == 0, checked.stdout
    assert "shed (plugins.shed): 14 of 14 rules kept" in checked.stdout and "rt (plugins.rt): 14" in checked.stdout
    tested = run(tree, "pytest", "-q", "-p", "no:cacheprovider", "tests/plugins/test_shed.py")
    assert tested.returncode == 0 and "15 passed" in tested.stdout


def test_a_package_of_its_own_works_when_it_is_installed(tree: Path) -> None:
    made = run(tree, "greenpower", "plugins", "new", "shed", "--package", "own")
    assert made.returncode == 0, made.stderr
    assert "own/pyproject.toml" in made.stdout and "pip install -e own" in made.stdout
    shutil.copytree(tree / "own" / "greenpower_shed", tree / "greenpower_shed")
    declare_installed(tree, "shed", "greenpower_shed")
    tested = run(tree, "pytest", "-q", "-p", "no:cacheprovider", "own/tests")
    assert tested.returncode == 0, tested.stdout


def test_nothing_is_written_over(tmp_path: Path) -> None:
    files = {tmp_path / "one": "new", tmp_path / "two": "new"}
    (tmp_path / "two").write_text("old")
    with pytest.raises(PluginError, match="two is there already"):
        write_files(files)
    assert not (tmp_path / "one").exists() and (tmp_path / "two").read_text() == "old"


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (Plan(name="Bad Name", topic="x"), "a name is of a-z"),
        (Plan(name="class", topic="x"), "no word of Python"),
        (Plan(name="rt", topic="x"), "two data types are named 'rt'"),
        (Plan(name="shed", topic="MQTT_RT_DATA"), "claim the topic 'MQTT_RT_DATA'"),
        (Plan(name="shed", topic="a/#/b"), "is not an MQTT topic filter"),
        (Plan(name="shed", registration="GWCCCL0001"), "claim the registration packet"),
        (Plan(name="shed", registration="##"), "4 to 48 printable ASCII"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_written(plan: Plan, said: str) -> None:
    with pytest.raises((PluginError, RegistryError, ValueError), match=said):
        make_files(plan, discover())


def test_no_core_file_names_a_plugin() -> None:
    names = {plugin.origin for plugin in plugins_of(discover()) if plugin.origin.startswith(f"{PACKAGE}.")}
    for path in (ROOT / "greenpower").rglob("*.py"):
        text = path.read_text("utf-8")
        assert not [name for name in names if name in text], path


def test_a_registry_of_nothing_is_enough() -> None:
    assert Path("shed", "__init__.py") in make_files(Plan(name="shed", topic="shed"), Registry([]))
