"""Fixtures: an installed plugin from the templates, good or broken."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from importlib import import_module, invalidate_caches
from pathlib import Path
from uuid import uuid4

import pytest

from greenpower.catalog.conflict import Loaded
from greenpower.catalog.registry import Registry, declared_in
from greenpower.kit.plugin import Plugin, plugins_of
from greenpower.kit.scaffold import ScaffoldPlan, make_files, write_files

Make = Callable[..., Plugin]
#: file, text in it, replacement
Edit = tuple[str, str, str]


def declare_installed(folder: Path, name: str, module: str) -> None:
    """Write an entry point for a module in a folder on the path, as an installer does."""
    info = folder / f"{module}-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {module}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[greenpower.plugins]\n{name} = {module}\n")


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Make]:
    """Makes the plugin that `greenpower plugins new` writes, as an installed package, with edits in its files."""
    monkeypatch.syspath_prepend(str(tmp_path))
    made: list[str] = []

    def make(*edits: Edit, tcp: str = "", topic: str = "plant/shed") -> Plugin:
        name = f"shed_{uuid4().hex[:6]}"
        plan = ScaffoldPlan(name=name, topic="" if tcp else topic, registration=tcp, package=tmp_path)
        files = make_files(plan, Registry([]))
        for path, old, new in edits:
            text = files[Path(plan.module, path)]
            assert old in text, f"{old} is not in {path}"
            files[Path(plan.module, path)] = text.replace(old, new)
        write_files({tmp_path / path: text for path, text in files.items() if path.parts[0] == plan.module})
        declare_installed(tmp_path, name, plan.module)
        invalidate_caches()
        module = import_module(plan.module)
        made.append(plan.module)
        loaded = [Loaded(datatype=datatype, origin=plan.module) for datatype in declared_in(module)]
        (plugin,) = plugins_of(Registry(loaded))
        return plugin

    yield make
    for module in made:
        del sys.modules[module]
