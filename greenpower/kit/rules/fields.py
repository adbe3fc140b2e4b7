"""Fields say what they are, can be reached, and are of the kind that their unit asks for."""

from __future__ import annotations

from collections.abc import Iterator

from greenpower.datatype import DataType, Field, FrameError, Kind
from greenpower.datatype.check import Checker
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

ENERGY = {"Wh", "kWh", "kvarh", "kVAh"}


def check_fields(plugin: Plugin) -> Iterator[Problem]:
    """Every field of every data type."""
    place = shown(plugin.folder / "__init__.py")
    for datatype in plugin.datatypes:
        checker = Checker(datatype)
        for field in datatype.fields:
            for found, expected, do in (*_said(field), *_reached(field, checker)):
                yield Problem(place=f"{place}: field {field.name}", found=found, expected=expected, do=do)
        yield from _polled(datatype, place)


def _said(field: Field) -> Iterator[tuple[str, str, str]]:
    if not field.title:
        yield "no title", "what it is, for people", 'add title="…": charts and the API show it'
    counter = field.kind is Kind.COUNTER
    if field.unit in ENERGY and not counter:
        yield (
            f"{field.unit} as {field.kind}", "a counter",
            "add kind=Kind.COUNTER: energy is the difference of a register, never its mean",
        )  # fmt: skip
    if counter and field.low != 0:
        yield f"low={field.low}", "low=0", "registers count from 0"
    if counter and field.greatest_rate is None:
        yield (
            "no greatest_rate", "the steepest rise, in its unit an hour (for kWh: kW)",
            "give it: a restart and a wild value are told apart by it",
        )  # fmt: skip
    if field.kind is Kind.ANGLE and field.unit != "°":
        yield f"an angle in {field.unit}", "°", "angles are averaged on the circle, in degrees"


def _reached(field: Field, checker: Checker) -> Iterator[tuple[str, str, str]]:
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
                    "check source= and the limits",
                )  # fmt: skip


def _polled(datatype: DataType, place: str) -> Iterator[Problem]:
    """What a Modbus poll reads is what is declared."""
    if not isinstance(datatype.parse, ModbusPoll):
        return
    declared = {field.name for field in datatype.fields}
    for name in sorted(datatype.parse.fields ^ declared):
        here, there = ("fields", "the poll's blocks") if name in declared else ("a block of the poll", "fields")
        yield Problem(
            place=f"{place}: {datatype.name}",
            found=f"{name} is in {here}, and not in {there}",
            expected="each value that is read is a field, and the other way round",
            do=f"add it to {there}, or put an empty name in its place in the block",
        )
