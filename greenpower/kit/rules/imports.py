"""Rule for imports: the plugin API, the standard library, and the plugin's own modules, each by an import statement."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

API = ("greenpower.datatype", "greenpower.framing")
#: modules and names that import or run what is given as text
BY_STRING_MODULES = frozenset({"importlib", "runpy", "pkgutil", "zipimport", "imp", "code", "builtins", "ctypes"})
BY_STRING_NAMES = frozenset({"__import__", "exec", "eval", "compile", "__builtins__", "__loader__", "__spec__"})


def check_imports(plugin: Plugin) -> Iterator[Problem]:
    """No module of a plugin imports the core, another plugin or a third-party library."""
    for path in sorted(plugin.folder.rglob("*.py")):
        tree = ast.parse(path.read_bytes(), str(path))
        for line, name in _imported(tree):
            if not _allowed(name, plugin.origin):
                yield Problem(
                    place=f"{shown(path)}:{line}",
                    found=f"import of {name}",
                    expected=f"{', '.join(API)}, the standard library, or {plugin.origin}",
                    fix=_advice(name),
                )
        for line, name in _by_string(tree):
            yield Problem(
                place=f"{shown(path)}:{line}",
                found=f"{name}, by which modules are imported, or text is run, unseen",
                expected="import statements",
                fix="import what the plugin needs at the top of the module",
            )


def _by_string(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What imports by a string, or runs one: (line, name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in BY_STRING_NAMES:
            yield node.lineno, node.id
        elif isinstance(node, ast.Attribute) and node.attr == "modules" and ast.unparse(node.value) == "sys":
            yield node.lineno, "sys.modules"
    for line, name in _imported(tree):
        if name.partition(".")[0] in BY_STRING_MODULES or name == "sys.modules":
            yield line, name


def _imported(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and not node.level:
            names = [node.module or ""]
            if node.module in ("greenpower", "plugins"):  # imports from these packages are modules
                names = [f"{node.module}.{alias.name}" for alias in node.names]
            if node.module == "sys":
                names = [f"sys.{alias.name}" for alias in node.names]
            yield from ((node.lineno, name) for name in names)


def _allowed(name: str, origin: str) -> bool:
    if any(name == allowed or name.startswith(f"{allowed}.") for allowed in (*API, origin)):
        return True
    top = name.partition(".")[0]
    return top in sys.stdlib_module_names


def _advice(name: str) -> str:
    if name.startswith("greenpower"):
        return "express it in the declaration; if that is not possible, open an issue about the plugin API"
    if name.startswith("plugins."):
        return "copy the shared code, or make one plugin with DATATYPES; each plugin can be removed alone"
    return "use the standard library; a parser is a few lines of Python and runs in every process"


def python_lines(folder: Path) -> int:
    """The number of lines of Python in a plugin, field table included."""
    return sum(len(path.read_text("utf-8").splitlines()) for path in folder.rglob("*.py"))
