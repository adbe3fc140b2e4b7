"""docs/wiring.md has every check, finding and tolerance, as they are in the code."""

from __future__ import annotations

from pathlib import Path

from greenpower.wiring.ask import all_checks
from greenpower.wiring.tolerance import TOLERANCES
from greenpower.wiring.tree import FAULT

PAGE = (Path(__file__).parents[2] / "docs" / "wiring.md").read_text("utf-8")


def test_every_check_and_finding_is_described() -> None:
    for check in all_checks():
        assert f"\n### {check.name}\n\nCompares {check.compares}.\n" in PAGE
    for fault in (*(fault for check in all_checks() for fault in check.faults), FAULT):
        explains = ", ".join(f"`{name}`" for name in sorted(fault.explains))
        assert f"| `{fault.name}` | {fault.title} | {fault.look} | {explains} |\n" in PAGE


def test_the_table_of_tolerances_is_that_of_the_code() -> None:
    for name, one in TOLERANCES.items():
        assert f"| `{name}` | {one.value:g} {one.unit} | {one.what} | {one.reason} |\n" in PAGE
    assert PAGE.count("\n| `") == len(TOLERANCES) + 1 + sum(len(check.faults) for check in all_checks())
