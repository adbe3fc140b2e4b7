"""The promises of docs/security.md: each names a test, and each test that is named exists."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "security.md"
HEADING = "## Promises"
NAMED_TEST = re.compile(r"`(tests/[\w/]+\.py)::(test_\w+)`")


def rows() -> list[tuple[str, str]]:
    """The table: promise and cell of tests, in order."""
    section = PAGE.read_text("utf-8").partition(f"\n{HEADING}\n")[2].partition("\n## ")[0]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in re.findall(r"(?m)^\|.*\|$", section)]
    heading, _rule, *lines = cells
    assert heading == ["promise", "test"]
    return [(promise, tests) for promise, tests in lines]


def functions_of(path: Path) -> set[str]:
    """The names of the tests in a module."""
    return {
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
    }


@pytest.mark.parametrize(("promise", "tests"), rows())
def test_a_promise_names_tests_that_exist(promise: str, tests: str) -> None:
    named = NAMED_TEST.findall(tests)
    assert promise and named, promise
    assert NAMED_TEST.sub("", tests).replace(",", "").strip() == ""
    for file, name in named:
        assert (ROOT / file).is_file(), file
        assert name in functions_of(ROOT / file), f"{file} has no {name}"


def test_a_promise_is_made_once() -> None:
    promises = [promise for promise, _ in rows()]
    assert len(promises) == len(set(promises))
    assert len(promises) >= 20
