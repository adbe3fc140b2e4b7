"""Units: those that are known, those that a plugin adds, and which are energies."""

from __future__ import annotations

import copy
import json
import pickle

import pytest

from greenpower.datatype import UNITS, DeclarationError, Field, UnitOfMeasure
from greenpower.datatype.unit import energy_per_hour, unit_of

AIR = UnitOfMeasure("cfm", quantity="air flow", definition="foot**3 / minute")


def test_a_unit_is_its_symbol() -> None:
    assert AIR == "cfm" and f"{AIR}" == "cfm" and json.dumps([AIR]) == '["cfm"]'
    assert {unit for unit, known in UNITS.items() if known != unit or not known.quantity} == set()
    for copied in (copy.deepcopy(AIR), pickle.loads(pickle.dumps(AIR))):
        assert (copied, copied.quantity, copied.definition) == ("cfm", "air flow", "foot**3 / minute")


def test_a_plugin_adds_its_own() -> None:
    assert unit_of(Field("flow", unit=AIR).unit).quantity == "air flow"
    with pytest.raises(DeclarationError, match="cfm"):
        Field("flow", unit="cfm")


@pytest.mark.parametrize(
    "given",
    [
        {"symbol": "", "quantity": "x"},
        {"symbol": "a b", "quantity": "x"},
        {"symbol": "a|b", "quantity": "x"},
        {"symbol": "x" * 17, "quantity": "x"},
        {"symbol": "x", "quantity": ""},
        {"symbol": "x", "quantity": "y", "energy_per_hour": 0},
        {"symbol": "x", "quantity": "y", "energy_per_hour": float("inf")},
    ],
)
def test_a_bad_unit_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(DeclarationError):
        UnitOfMeasure(**given)  # type: ignore[arg-type]


def test_one_kilowatt_makes_in_an_hour() -> None:
    therm = UnitOfMeasure("thm", quantity="active energy", energy_per_hour=0.0341)
    found = {unit: energy_per_hour(unit) for unit in ("Wh", "kWh", "MWh", "MJ", "kvarh", therm, "kW", "°C", "nothing")}
    assert found == {
        "Wh": 1000, "kWh": 1, "MWh": 0.001, "MJ": 3.6, "kvarh": 1, "thm": 0.0341, "kW": None, "°C": None,
        "nothing": None,
    }  # fmt: skip
