"""`pytest --greenpower` in the folder of a plugin outside this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from greenpower.kit.contract import RULES, problems
from tests.kit.conftest import Make


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    # It starts faster without the other installed pytest plugins.
    env = {**os.environ, "PYTHONPATH": str(folder), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", "-p", "greenpower.kit.pytest_plugin", "-p", "no:cacheprovider"]
    return subprocess.run([*command, *options], cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def test_pytest_knows_the_option_when_greenpower_is_installed() -> None:
    assert any(point.value == "greenpower.kit.pytest_plugin" for point in metadata.entry_points(group="pytest11"))


def test_every_rule_is_a_test_and_a_broken_one_shows_its_problem_without_a_traceback(
    make: Make, tmp_path: Path
) -> None:
    plugin = make(("README.md", "| kW |", "| MW |"))
    result = run(tmp_path, "--greenpower", "--greenpower-plugin", plugin.name)
    assert result.returncode == 1 and f"1 failed, {len(RULES) - 1} passed" in result.stdout
    assert f"{plugin.name}: README" in result.stdout
    (problem,) = problems(plugin, "README")
    assert problem.fix in result.stdout and "Traceback" not in result.stdout


def test_rules_are_chosen_as_tests_are(make: Make, tmp_path: Path) -> None:
    plugin = make()
    result = run(tmp_path, "--greenpower", "-k", f"clock and not forms and {plugin.name}")
    assert result.returncode == 0 and "1 passed" in result.stdout


def test_an_unknown_plugin_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path, "--greenpower", "--greenpower-plugin", "nothing")
    assert result.returncode == 4 and "'nothing'" in result.stderr
