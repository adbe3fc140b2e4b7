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


def test_a_stale_page_is_named_and_written_on_request(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "README.md"
    path.write_text("old")
    monkeypatch.setattr(docs, "readmes", lambda: {path: "new"})
    result = CliRunner().invoke(group, ["docs", "fields"])
    assert result.exit_code == 1
    assert str(path) in result.output and "greenpower docs fields --write" in result.output
    assert path.read_text() == "old"
    result = CliRunner().invoke(group, ["docs", "fields", "--write"])
    assert result.exit_code == 0 and str(path) in result.output
    assert path.read_text() == "new"
