"""Good days raise nothing: many kinds of circuits, a year of each."""

from __future__ import annotations

import pytest

from greenpower.catalog.registry import load_registry
from greenpower.datatype import PointRole
from greenpower.wiring.ask import ask_all
from greenpower.wiring.circuit import Circuit
from greenpower.wiring.outcome import Passed, WiringFinding
from tests.wiring.days import GOOD, GoodCircuit, good_day, simulated_day

TYPES = {item.datatype.name: item.datatype for item in load_registry(None).loaded}
YEAR = 365
#: days apart, of the sample of a year that is quick
SAMPLED_DAYS, SAMPLED_STEP = 61, 600


def findings(circuit: Circuit) -> list[WiringFinding]:
    return [answer.outcome for answer in ask_all(circuit) if isinstance(answer.outcome, WiringFinding)]


@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_days_of_a_year_raise_nothing(good: GoodCircuit) -> None:
    for day in range(3, YEAR, SAMPLED_DAYS):
        assert findings(good_day(good, day, SAMPLED_STEP)) == [], day


def test_the_checks_are_asked_of_a_good_day() -> None:
    house = {answer.check.name: answer.outcome for answer in ask_all(good_day(GOOD[0], 5))}
    unasked = {name for name, outcome in house.items() if not isinstance(outcome, Passed)}
    assert unasked <= {"phase_order", "solar_at_night", "swapped_ct"}


@pytest.mark.slow
@pytest.mark.parametrize("good", GOOD, ids=lambda good: good.name)
def test_a_year_raises_nothing(good: GoodCircuit) -> None:
    assert [(day, found) for day in range(YEAR) if (found := findings(good_day(good, day)))] == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("types", "role"),
    [(("rt", "eny_now"), PointRole.LOAD), (("solar",), PointRole.SOLAR)],
    ids=["power meter", "solar"],
)
def test_a_year_of_simulated_types_raises_nothing(types: tuple[str, ...], role: PointRole) -> None:
    for day in range(YEAR):
        circuit = simulated_day([TYPES[name] for name in types], day, step=900, role=role, expected=1)
        assert findings(circuit) == [], day
