"""The rule for electrical quantities: each planted defect is found, and named with its field."""

from __future__ import annotations

import pytest

from greenpower.kit.contract import problems
from tests.kit.conftest import Make

CODE = "__init__.py"
FIELDS = "FIELDS = ("
KW = 'low=-10, high=10, title="active power'
COUNTER = "kind=Kind.COUNTER, low=0, high=10**6, greatest_rate=10"

DEFECTS = [
    (
        f'Field("one", unit="kW", {KW}, one", measures="active_power"),'
        f' Field("two", unit="kW", {KW}, two", measures="active_power"),',
        "two", "one",
    ),
    (f'Field("one", unit="kW", {KW}, phase B", measures="active_power"),', "one", "phase B"),
    (
        f'Field("one", unit="kW", {KW}, phase A", measures="active_power", phase="a"),'
        f' Field("two", unit="kW", {KW}, phase B", measures="active_power", phase="b"),',
        "two", "not of c",
    ),
    (
        f'Field("one", unit="kWh", {COUNTER}, title="energy returned", measures="active_energy_returned"),',
        "one", "without active_energy",
    ),
]  # fmt: skip


@pytest.mark.parametrize(("fields", "name", "text"), DEFECTS)
def test_a_quantity_that_does_not_fit_the_others(make: Make, fields: str, name: str, text: str) -> None:
    (problem,) = problems(make((CODE, FIELDS, f"{FIELDS}\n    {fields}")), "quantities")
    assert problem.field == name and text in problem.found and problem.fix and problem.expected


def test_quantities_that_fit(make: Make) -> None:
    phases = "".join(
        f'Field("p_{phase}", unit="W", {KW}, phase {phase.upper()}", measures="active_power", phase="{phase}"),'
        for phase in "abc"
    )
    tariffs = "".join(
        f'Field("e_{number}", unit="kWh", {COUNTER}, title="energy, tariff {number}", measures="active_energy"),'
        for number in (1, 2)
    )
    clamp = f'Field("clamp", unit="kW", {KW} of a clamp", measures="active_power", circuit="clamp 1"),'
    assert problems(make((CODE, FIELDS, f"{FIELDS}\n    {phases}{tariffs}{clamp}")), "quantities") == []
