"""From a unit as sent to that of a field."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenpower.catalog.conversion import LOGARITHMIC, conversion, with_conversions
from greenpower.catalog.registry import Registry, RegistryError
from greenpower.datatype import (
    UNITS,
    DataType,
    DeclarationError,
    Field,
    FrameError,
    Kind,
    Mqtt,
    UnitOfMeasure,
    json_parser,
)
from greenpower.datatype.check import Checker
from greenpower.datatype.unit import energy_per_hour

FLOATS = st.floats(-1e9, 1e9).filter(lambda value: value == 0 or abs(value) > 1e-9)
#: (sent in, unit, factor, offset), each exact
EXACT = [
    ("W", "kW", Fraction(1, 1000), Fraction()),
    ("Wh", "kWh", Fraction(1, 1000), Fraction()),
    ("W·min", "kWh", Fraction(1, 60_000), Fraction()),
    ("J", "kWh", Fraction(1, 3_600_000), Fraction()),
    ("MJ", "kWh", Fraction(10, 36), Fraction()),
    ("MWh", "kWh", Fraction(1000), Fraction()),
    ("var", "kvar", Fraction(1, 1000), Fraction()),
    ("varh", "kvarh", Fraction(1, 1000), Fraction()),
    ("VA", "kVA", Fraction(1, 1000), Fraction()),
    ("mA", "A", Fraction(1, 1000), Fraction()),
    ("K", "°C", Fraction(1), Fraction("-273.15")),
    ("°F", "°C", Fraction(5, 9), Fraction(-160, 9)),
    ("L", "m³", Fraction(1, 1000), Fraction()),
    ("hPa", "mbar", Fraction(1), Fraction()),
    ("km/h", "m/s", Fraction(10, 36), Fraction()),
    ("inch", "mm", Fraction(254, 10), Fraction()),
    ("ppm", "%", Fraction(1, 10_000), Fraction()),
]


def datatype(*fields: Field, **changes: Any) -> DataType:
    given: dict[str, Any] = {
        "name": "test", "title": "Test", "collection": "test_data", "match": (Mqtt("test"),), "fields": fields,
        "parse": json_parser(device="id"),
    }  # fmt: skip
    return DataType(**{**given, **changes})


def checked(field: Field, value: Any) -> Any:
    (resolved,) = Registry.of(datatype(field))
    return Checker(resolved).check({field.name: value})[0].get(field.name)


@pytest.mark.parametrize(
    ("sent_in", "unit", "factor", "offset"), EXACT, ids=[f"{one}-{other}" for one, other, *_ in EXACT]
)
@given(value=FLOATS | st.integers(-(10**9), 10**9))
def test_a_value_is_converted_as_it_is_written(
    sent_in: str, unit: str, factor: Fraction, offset: Fraction, value: float
) -> None:
    wanted = float(Fraction(repr(value)) * factor + offset)
    assert conversion(sent_in, unit)(value) == pytest.approx(wanted, rel=1e-15, abs=1e-24)
    if factor.denominator in (1, 1000) and not offset:
        assert conversion(sent_in, unit)(value) == wanted


@pytest.mark.parametrize(
    ("sent_in", "value", "found"),
    [("W", 64.2, "0.0642"), ("W", 64, "0.064"), ("MW", 5, "5000"), ("MW", 5.0, "5000.0"), ("mW", 0.1, "1e-07")],
)
def test_a_converted_value_is_the_one_that_people_write(sent_in: str, value: float, found: str) -> None:
    assert repr(conversion(sent_in, "kW")(value)) == found


def test_every_unit_is_known_to_pint_and_every_energy_counts_as_the_table_says() -> None:
    for unit in UNITS.keys() - LOGARITHMIC:
        assert conversion(f"{UNITS[unit].definition} ", unit)(7) == 7
    for base in ("kWh", "kvarh", "kVAh"):
        for unit in UNITS:
            if UNITS[unit].quantity == UNITS[base].quantity:
                assert conversion(base, unit)(1.0) == pytest.approx(energy_per_hour(unit), rel=1e-15)


@pytest.mark.parametrize(
    ("sent_in", "unit"),
    [
        ("V", "A"), ("W", "kvar"), ("VA", "kW"), ("Wh", "kvarh"), ("rpm", "Hz"), ("%", "°"), ("dBm", "W"), ("dB", "1"),
        ("furlongs per", "m/s"), ("nothing", "kW"), ("W +", "kW"), ("kW", "kWh"), ("°C", "kWh"), ("", "°"),
    ],
)  # fmt: skip
def test_unlike_things_are_not_converted(sent_in: str, unit: str) -> None:
    with pytest.raises(DeclarationError):
        conversion(sent_in or "rpm", unit)


def test_a_scale_comes_before_the_unit() -> None:
    assert checked(Field("power", unit="kW", scale=0.1), 123) == 12.3
    assert checked(Field("power", unit="kW", sent_in="W", scale="0.1"), 642) == 0.0642
    assert checked(Field("energy", unit="kWh", kind=Kind.COUNTER, scale=10), 7) == 70
    assert checked(Field("temp", unit="°C", sent_in="°F", scale=Decimal("0.1")), 2120) == 100


def test_limits_are_of_the_stored_unit_and_a_text_is_a_number() -> None:
    field = Field("power", unit="kW", sent_in="W", low=-1, high=10)
    assert [checked(field, value) for value in (9_999.5, "9999.5", -1_000)] == [9.9995, 9.9995, -1]
    with pytest.raises(FrameError, match="out-of-range"):
        checked(field, 10_000.5)


def test_a_unit_of_a_plugin_is_converted_both_ways() -> None:
    air = UnitOfMeasure("cfm", quantity="air flow", definition="foot**3 / minute")
    assert checked(Field("flow", unit=air, sent_in="m³/h"), 1.69901079552) == pytest.approx(1, rel=1e-12)
    assert checked(Field("flow", unit="m³/h", sent_in=air.definition), 1) == 1.69901079552


def test_what_needs_no_conversion_stays_the_same_object() -> None:
    plain = datatype(Field("power", unit="kW"), Field("same", unit="kW", sent_in="kW"))
    assert with_conversions(plain) is plain
    converted = datatype(Field("power", unit="kW", sent_in="W"))
    (once,) = Registry.of(converted)
    assert with_conversions(once) is once
    changed = replace(once, fields=(replace(once.fields[0], sent_in="MW"),))
    assert Checker(with_conversions(changed)).check({"power": 1})[0] == {"power": 1000}
    back = replace(once, fields=(replace(once.fields[0], sent_in=""),))
    assert Checker(with_conversions(back)).check({"power": 1})[0] == {"power": 1}


def test_a_type_that_was_not_loaded_says_so() -> None:
    with pytest.raises(DeclarationError, match="Registry"):
        Checker(datatype(Field("power", unit="kW", sent_in="W")))


def test_a_registry_names_the_field() -> None:
    with pytest.raises(RegistryError, match=r"'test'.*'power'.*'A'"):
        Registry.of(datatype(Field("power", unit="kW", sent_in="A")))


@pytest.mark.parametrize(("plugins", "loads"), [("", False), ("all", True), ("+tasmota", True), ("rt", False)])
def test_pint_is_loaded_only_for_what_is_in_force_and_says_nothing(plugins: str, loads: bool) -> None:
    """It is half a second and some megabytes of every process."""
    text = f"""
import logging, sys
logging.basicConfig(level=logging.WARNING, stream=sys.stdout)
from greenpower.catalog.registry import discover
discover(plugins={plugins!r})
print("pint" in sys.modules)
"""
    found = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, check=True)
    assert (found.stdout, found.stderr) == (f"{loads}\n", "")
