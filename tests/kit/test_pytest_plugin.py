"""`pytest --greenpower` in the folder of a plugin outside this repository."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from tests.kit.conftest import Make

LOADED = any(point.value == "greenpower.kit.pytest_plugin" for point in metadata.entry_points(group="pytest11"))


def run(folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PYTHONPATH": str(folder)}
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *options]
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def test_pytest_knows_the_option_when_greenpower_is_installed() -> None:
    assert LOADED


def test_every_rule_is_a_test(make: Make, tmp_path: Path) -> None:
    plugin = make()
    result = run(tmp_path, "--greenpower", "--greenpower-plugin", plugin.name)
    assert result.returncode == 0 and "14 passed" in result.stdout
    result = run(tmp_path, "--greenpower", "-k", "clock and environment")
    assert result.returncode == 0 and "1 passed" in result.stdout


def test_what_is_broken_fails_with_what_to_do_and_nothing_else(make: Make, tmp_path: Path) -> None:
    plugin = make(("README.md", "| kW |", "| MW |"))
    result = run(tmp_path, "--greenpower", "--greenpower-plugin", plugin.name)
    assert result.returncode == 1 and "1 failed, 13 passed" in result.stdout
    assert f"{plugin.name}: README" in result.stdout
    assert "to do:    run greenpower docs fields --write" in result.stdout and "Traceback" not in result.stdout


def test_an_unknown_plugin_is_a_usage_error(tmp_path: Path) -> None:
    result = run(tmp_path, "--greenpower", "--greenpower-plugin", "nothing")
    assert result.returncode == 4 and "no plugin is called 'nothing'" in result.stderr
