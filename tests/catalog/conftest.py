"""Fixtures for the catalogue's tests: plugins that are installed for one test."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Install = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Installs a distribution with an entry point: a module of this name and source."""
    monkeypatch.syspath_prepend(str(tmp_path))

    def install(name: str, source: str, *, point: str | None = None) -> None:
        (tmp_path / f"{name}.py").write_text(source)
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[greenpower.plugins]\n{name} = {point or name}\n")
        monkeypatch.delitem(sys.modules, name, raising=False)

    return install
