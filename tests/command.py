"""Running a command in this process: quicker than a process, for what ends before it serves."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

import pytest

from greenpower.cli.main import main
from greenpower.config import Settings
from tests.process import environment


def run_cli(
    monkeypatch: pytest.MonkeyPatch, folder: Path, *arguments: str, settings: Settings | None = None, **env: str
) -> int:
    """`greenpower ARGUMENTS` in a folder, with these settings or only what `env` gives. Returns the exit code."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    for name, value in ({} if settings is None else environment(settings)).items():
        monkeypatch.setenv(name, value)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "argv", ["greenpower", *arguments])
    handlers, level = logging.root.handlers[:], logging.root.level
    try:
        main()
    except SystemExit as ended:
        return int(ended.code or 0)
    finally:
        # A command writes its log to a stderr that is gone after the test.
        logging.root.handlers[:] = handlers
        logging.root.setLevel(level)
    return 0
