"""What a field may say of the quantity that it measures."""

from __future__ import annotations

from typing import Any

import pytest

from greenpower.catalog.registry import load_registry
from greenpower.datatype import DeclarationError, Electrical, Field, Kind
from greenpower.datatype.unit import unit_of


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"unit": "kW", "measures": "power"}, "power"),
        ({"unit": "kvar", "measures": "active_power"}, "kvar"),
        ({"unit": "kWh", "measures": "active_power", "kind": Kind.COUNTER}, "kWh"),
        ({"unit": "kWh", "measures": "active_energy"}, "gauge"),
        ({"unit": "W", "measures": "active_power", "kind": Kind.STATE}, "state"),
        ({"unit": "W", "measures": "active_power", "phase": "ab"}, "'ab'"),
        ({"unit": "V", "measures": "voltage", "phase": "n"}, "'n'"),
        ({"unit": "Hz", "measures": "frequency", "phase": "x"}, "'x'"),
        ({"unit": "V", "phase": "a"}, "measures="),
        ({"unit": "V", "circuit": "one"}, "measures="),
        ({"unit": "V", "measures": "voltage", "circuit": "x" * 33}, "circuit"),
    ],
)
def test_what_cannot_be_is_refused(given: dict[str, Any], named: str) -> None:
    with pytest.raises(DeclarationError, match="field 'one'") as error:
        Field("one", **given)
    assert named in str(error.value)


@pytest.mark.parametrize("quantity", Electrical)
def test_every_quantity_can_be_declared_in_its_unit_and_phases(quantity: Electrical) -> None:
    kind = Kind.COUNTER if quantity.is_register else Kind.GAUGE
    for phase in quantity.phases():
        field = Field("one", unit=quantity.unit, kind=kind, measures=quantity.value, phase=phase)
        assert unit_of(field.unit).quantity == unit_of(quantity.unit).quantity


def test_the_types_that_measure_say_so() -> None:
    declared = {
        item.datatype.name: {field.measures for field in item.datatype.fields} for item in load_registry(None).loaded
    }
    assert {"active_power", "voltage", "current", "reactive_power"} <= declared["rt"]
    assert {"active_energy", "active_energy_returned"} <= declared["eny_now"] & declared["solar"]
