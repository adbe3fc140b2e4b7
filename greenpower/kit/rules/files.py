"""Rule for the world outside: a plugin reads and writes no files, and uses no network, process or thread."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from greenpower.kit.plugin import Plugin, SampleError
from greenpower.kit.problem import Problem, shown

#: modules for files, databases, networks, processes and threads
OUTSIDE = """
os pathlib io shutil tempfile glob fileinput linecache configparser logging zipfile tarfile gzip bz2 lzma mmap fcntl
sqlite3 dbm shelve socket socketserver ssl select selectors http urllib ftplib smtplib poplib imaplib xmlrpc
subprocess multiprocessing threading concurrent asyncio signal
"""
OUTSIDE_MODULES = frozenset(OUTSIDE.split())
#: of these modules, what is only arithmetic on bytes and text
HARMLESS = ("io.BytesIO", "io.StringIO", "urllib.parse", "gzip.decompress", "bz2.decompress", "lzma.decompress")
OUTSIDE_NAMES = frozenset({"open", "input", "breakpoint"})
OUTSIDE_METHODS = frozenset({"read_text", "read_bytes", "write_text", "write_bytes"})


def check_files(plugin: Plugin) -> Iterator[Problem]:
    """No module of a plugin uses what is outside of it, nor does it while it reads a sample."""
    found = False
    for path in sorted(plugin.folder.rglob("*.py")):
        tree = ast.parse(path.read_bytes(), str(path))
        for line, name in sorted(set(_outside(tree))):
            found = True
            yield Problem(
                place=f"{shown(path)}:{line}",
                found=f"{name}, which reaches files, networks, processes or threads",
                expected="a plugin that uses the frame and nothing else",
                fix="put tables into the plugin's Python; leave storing, sending and looking up to the core",
            )
    if not found:
        yield from _opened(plugin)


def _opened(plugin: Plugin) -> tuple[Problem, ...]:
    """What reading samples opens."""
    try:
        return plugin.first_run.opened[:1]
    except SampleError:  # the rule for samples reports it
        return ()


def _outside(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What reaches outside: (line, name)."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id in OUTSIDE_NAMES:
            yield node.lineno, f"{node.id}()"
        elif isinstance(node, ast.Attribute) and node.attr in OUTSIDE_METHODS:
            yield node.lineno, f"{node.attr}()"
        elif isinstance(node, ast.Import | ast.ImportFrom):
            for name in _names(node):
                if name.partition(".")[0] in OUTSIDE_MODULES and not name.startswith(HARMLESS):
                    yield node.lineno, name


def _names(node: ast.Import | ast.ImportFrom) -> list[str]:
    """What an import statement imports, with the modules it comes from."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    return [] if node.level else [f"{node.module}.{alias.name}" for alias in node.names]
