"""`greenpower docs fields`."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from greenpower.cli import docs
from greenpower.cli.main import group


def test_nothing_is_stale() -> None:
    result = CliRunner().invoke(group, ["docs", "fields"])
    assert (result.exit_code, result.output) == (0, "")


def test_what_is_stale_is_named_and_written_when_asked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "README.md"
    path.write_text("old")
    monkeypatch.setattr(docs, "readmes", lambda: {path: "new"})
    result = CliRunner().invoke(group, ["docs", "fields"])
    assert result.exit_code == 1
    assert result.output == f"{path}: is stale: run greenpower docs fields --write\n"
    assert path.read_text() == "old"
    result = CliRunner().invoke(group, ["docs", "fields", "--write"])
    assert (result.exit_code, result.output) == (0, f"{path}: written\n")
    assert path.read_text() == "new"
