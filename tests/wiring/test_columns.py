"""From declarations and payloads to columns."""

from __future__ import annotations

from functools import partial

import pytest

from greenpower.datatype import DataType, Electrical, Field, Kind, Mqtt, json_parser
from greenpower.wiring.circuit import Circuit, Table
from greenpower.wiring.columns import measured_fields, tables

register = partial(Field, kind=Kind.COUNTER, low=0, greatest_rate=10, title="energy")
FIELDS = (
    Field("p", unit="W", title="power", measures="active_power"),
    Field("back", unit="W", title="power returned", measures="active_power_returned"),
    Field("u", unit="kV", title="voltage", measures="voltage", phase="a"),
    register("t1", unit="Wh", measures="active_energy"),
    register("t2", unit="kWh", measures="active_energy"),
    Field("clamp", unit="A", title="current", measures="current", circuit="clamp"),
    Field("other", unit="V", title="other"),
)
TYPE = DataType(
    name="shed", title="Shed", endpoint="shed", collection="shed", match=(Mqtt("shed/+", device_level=1),),
    fields=FIELDS, parse=json_parser(), stale_after=60,
)  # fmt: skip
POWER, ENERGY = (Electrical.ACTIVE_POWER, ""), (Electrical.ACTIVE_ENERGY, "")


def test_units_tariffs_both_directions_and_circuits() -> None:
    readings: list[tuple[float, dict[str, object]]] = [
        (1.0, {"p": 1500, "back": 0, "u": 0.23, "t1": 2000, "t2": 1.5, "clamp": 3, "other": 1}),
        (2.0, {"p": 0, "back": 250.5, "u": "broken", "t1": 2100, "clamp": True}),
        (3.0, {"other": 5}),
    ]
    found = tables(measured_fields(TYPE), readings)
    assert found.keys() == {"", "clamp"}
    main = found[""]
    assert main.columns[POWER] == [1.5, -0.2505, None]
    assert main.columns[Electrical.VOLTAGE, "a"] == [230.0, None, None]
    assert main.columns[ENERGY] == [pytest.approx(3.5), None, None]
    assert found["clamp"].columns[Electrical.CURRENT, ""] == [3.0, None, None]


def test_a_type_without_quantities_has_no_circuit() -> None:
    assert tables((), [(1.0, {"other": 5})]) == {}


def test_of_two_types_that_send_the_same_the_one_with_more_counts() -> None:
    often = Table([1.0, 2.0, 3.0], {ENERGY: [1.0, 2.0, None]})
    rarely = Table([1.5], {ENERGY: [7.0]})
    rows = Circuit("one", [rarely, often]).series(Electrical.ACTIVE_ENERGY)
    assert list(rows.times) == [1.0, 2.0] and list(rows.values) == [(1.0,), (2.0,)]


def test_phases_that_are_0_all_day_are_not_connected() -> None:
    columns = {(Electrical.VOLTAGE, phase): [230.0 if phase == "a" else 0.0] for phase in "abc"}
    assert Circuit("one", [Table([1.0], columns)]).phases == ("a",)
