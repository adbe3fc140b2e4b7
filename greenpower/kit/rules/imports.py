"""What a plugin may import: the plugin API, the standard library, and its own modules."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

API = ("greenpower.datatype", "greenpower.framing")


def check_imports(plugin: Plugin) -> Iterator[Problem]:
    """No module of a plugin imports the core, another plugin or a library."""
    for path in sorted(plugin.folder.rglob("*.py")):
        tree = ast.parse(path.read_bytes(), str(path))
        for line, name in _imported(tree):
            if not _allowed(name, plugin.origin):
                yield Problem(
                    place=f"{shown(path)}:{line}",
                    found=f"import of {name}",
                    expected=f"{', '.join(API)}, the standard library, {plugin.origin}",
                    do=_advice(name),
                )


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
            if node.module in ("greenpower", "plugins"):  # what is imported from there are modules
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name) for name in names)


def _allowed(name: str, origin: str) -> bool:
    if any(name == allowed or name.startswith(f"{allowed}.") for allowed in (*API, origin)):
        return True
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names


def _advice(name: str) -> str:
    if name.startswith("greenpower"):
        return "say it in the declaration; what cannot be said there is a gap in the plugin API worth an issue"
    if name.startswith("plugins."):
        return "copy what is shared, or make both one plugin with DATATYPES: plugins come and go one by one"
    return "do without: a parser is a few lines of Python, and it runs in every process"


def python_lines(folder: Path) -> int:
    """How many lines of Python a plugin has, its field table included."""
    return sum(len(path.read_text("utf-8").splitlines()) for path in folder.rglob("*.py"))
