"""Rule for fields: each has a title, is reached by the keys that devices send, and has a kind that suits its unit."""

from __future__ import annotations

from collections.abc import Iterator

from greenpower.datatype import DataType, Field, FrameError, Kind
from greenpower.datatype.check import Checker
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

ENERGY_UNITS = {"Wh", "kWh", "kvarh", "kVAh"}


def check_fields(plugin: Plugin) -> Iterator[Problem]:
    """Every field of every data type is complete and reachable."""
    place = shown(plugin.folder / "__init__.py")
    for datatype in plugin.datatypes:
        checker = Checker(datatype)
        for field in datatype.fields:
            for found, expected, fix in (*_declaration_problems(field), *_key_problems(field, checker)):
                yield Problem(place=f"{place}: field {field.name}", found=found, expected=expected, fix=fix)
        yield from _poll_problems(datatype, place)


def _declaration_problems(field: Field) -> Iterator[tuple[str, str, str]]:
    """What is missing or wrong in a declaration: (found, expected, fix)."""
    if not field.title:
        yield "title is empty", "a title for people", 'add title="…"; charts and the API show it'
    counter = field.kind is Kind.COUNTER
    if field.unit in ENERGY_UNITS and not counter:
        yield (
            f"unit {field.unit} with kind {field.kind}", "kind counter",
            "add kind=Kind.COUNTER; energy is the difference of a register, not its mean",
        )  # fmt: skip
    if counter and field.low != 0:
        yield f"low={field.low}", "low=0", "set low=0; registers count from 0"
    if counter and field.greatest_rate is None:
        yield (
            "greatest_rate is missing", "the fastest plausible rise in units per hour (for kWh: kW)",
            "add greatest_rate=…; it tells a reset from a wrong value",
        )  # fmt: skip
    if field.kind is Kind.ANGLE and field.unit != "°":
        yield (
            f"kind angle with unit {field.unit}",
            "unit °",
            'set unit="°"; angles are averaged on the circle in degrees',
        )


def _key_problems(field: Field, checker: Checker) -> Iterator[tuple[str, str, str]]:
    """Keys as sent that do not become the field: (found, expected, fix)."""
    low = -1 if field.low is None else field.low
    value = low + 1 if field.high is None else (low + field.high) / 2 or field.high
    for key in field.sources:
        for sent in (key, key.upper(), key.lower()):
            try:
                found = checker.check({sent: value})
            except FrameError as error:
                found = ({}, {sent: error.reason})
            if found != ({field.name: value}, {}):
                yield (
                    f"{value:g} sent as {sent!r} becomes {found}", f"{field.name} = {value:g}",
                    "correct source=, low= or high=",
                )  # fmt: skip


def _poll_problems(datatype: DataType, place: str) -> Iterator[Problem]:
    """Differences between the values that a Modbus poll reads and the declared fields."""
    if not isinstance(datatype.parse, ModbusPoll):
        return
    declared = {field.name for field in datatype.fields}
    for name in sorted(datatype.parse.fields ^ declared):
        here, there = ("fields", "the blocks of the poll") if name in declared else ("a block of the poll", "fields")
        yield Problem(
            place=f"{place}: {datatype.name}",
            found=f"{name!r} is in {here} but not in {there}",
            expected="the same names in fields and in the blocks of the poll",
            fix=f"add {name!r} to {there}, or replace it by an empty name in the block",
        )
