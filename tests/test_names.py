"""Names: one class of a name in the whole program, and constants that say what they limit."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "greenpower"
# A number under one of these names says nothing of what it is the limit.
# fmt: off
BARE = frozenset((
    "AGAIN", "AT", "BATCH", "BURST", "CHUNK", "CLOSE", "EVERY", "FEW", "FIRST_PAUSE", "GARBAGE", "GRACE", "HEAD",
    "KEPT", "LARGEST", "LEAST", "LIMIT", "LIMITS", "LONGEST", "LONGEST_PAUSE", "MOST", "ONE", "PAUSE", "PIECE",
    "READ", "SAFE", "SECONDS", "SHARE", "SHORTEST", "SHORTEST_PAUSE", "SHOWN", "STAY_MS", "STEP", "TEXT", "TIMEOUT",
    "TRIES", "WIDTH",
))
# fmt: on


def modules() -> Iterator[tuple[Path, ast.Module]]:
    """Every module of the program, parsed."""
    for path in sorted(PACKAGE.rglob("*.py")):
        if "node_modules" not in path.parts:
            yield path.relative_to(PACKAGE.parent), ast.parse(path.read_text("utf-8"))


def test_no_two_classes_share_a_name() -> None:
    found: defaultdict[str, list[str]] = defaultdict(list)
    for path, tree in modules():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(f"{path}:{node.lineno}")
    assert len(found) > 300
    assert {name: places for name, places in found.items() if len(places) > 1} == {}


def constants(tree: ast.Module) -> Iterator[ast.Name]:
    """The names that a module binds at its top level."""
    for node in tree.body:
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        for target in targets:
            yield from (name for name in ast.walk(target) if isinstance(name, ast.Name))


def test_constants_say_what_they_limit() -> None:
    found = [
        f"{path}:{name.lineno} {name.id}"
        for path, tree in modules()
        for name in constants(tree)
        if name.id.lstrip("_") in BARE
    ]
    assert found == []
