"""Rule for fields: each has a title, is reached by the keys that devices send, and has a kind that suits its unit."""

from __future__ import annotations

import re
from collections.abc import Iterator
from math import isclose

from greenpower.datatype import ENERGY_KINDS, DataType, Field, FrameError, Kind
from greenpower.datatype.check import Checker
from greenpower.datatype.json_path import is_path
from greenpower.datatype.unit import energy_per_hour
from greenpower.framing.poll import ModbusPoll
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown

#: registers that begin at 0
FROM_ZERO = (Kind.COUNTER, Kind.DAILY)
#: a title that lists codes: "0 off, 1 on"
CODE_LIST = re.compile(r"\b0[ :=]+[a-z][\w -]*[,;] *1[ :=]+[a-z]", re.IGNORECASE)
#: what fields are called whose numbers stand for something
CODE_WORDS = re.compile(r"\b(state|status|mode|code|alarm|fault|error|flag)s?\b", re.IGNORECASE)


def check_fields(plugin: Plugin) -> Iterator[Problem]:
    """Every field of every data type is complete and reachable."""
    place = shown(plugin.folder / "__init__.py")
    for datatype in plugin.datatypes:
        checker = Checker(datatype)
        for field in datatype.fields:
            for found, expected, fix in (
                *_declaration_problems(field),
                *_code_problems(field),
                *_key_problems(field, checker),
            ):
                yield Problem(
                    place=f"{place}: field {field.name}", found=found, expected=expected, fix=fix, field=field.name,
                    topic=datatype.topics[0].topic if datatype.topics else "",
                )  # fmt: skip
        yield from _poll_problems(datatype, place)


def _declaration_problems(field: Field) -> Iterator[tuple[str, str, str]]:
    """What is missing or wrong in a declaration: (found, expected, fix)."""
    if not field.title:
        yield "title is empty", "a title for people", 'add title="…"; charts and the API show it'
    if energy_per_hour(field.unit) is not None and not field.kind.has_energy:
        yield (
            f"unit {field.unit} with kind {field.kind}", f"kind {' or '.join(ENERGY_KINDS)}",
            "add kind=Kind.COUNTER, or NET, DAILY or DELTA; energy is the difference of a register, not its mean",
        )  # fmt: skip
    if field.kind in FROM_ZERO and field.low != 0:
        yield f"low={field.low}", "low=0", "set low=0; registers count from 0"
    if field.kind.has_energy and field.greatest_rate is None:
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

    if field.kind is Kind.GAUGE and field.unit == "°":
        yield (
            "kind gauge with unit °", f"kind {Kind.ANGLE}",
            "add kind=Kind.ANGLE; the mean of 359° and 1° is 0°, and as a gauge 180°",
        )  # fmt: skip
    if field.modulus is not None and field.high is not None and field.high > field.modulus:
        yield (
            f"high={field.high:g} above modulus={field.modulus:g}", f"high= of at most {field.modulus:g}",
            "correct modulus=, or set high= to it; the register starts again at 0 there",
        )  # fmt: skip


def _code_problems(field: Field) -> Iterator[tuple[str, str, str]]:
    """Codes that are averaged, or have a unit: (found, expected, fix)."""
    text = f"{field.name} {field.title}".replace("_", " ")
    why = ""
    if field.kind is Kind.GAUGE and field.unit == "1":
        if field.words:
            why = f"numbers that stand for words: {', '.join(field.words)}"
        elif word := CODE_WORDS.search(text):
            why = f"what is called a {word[0].lower()}"
        elif listed := CODE_LIST.search(field.title):
            why = f"a list of codes: {listed[0]}"
    if why:
        yield (
            f"kind gauge for {why}",
            f"kind {Kind.ENUMERATION} or {Kind.STATE}",
            "add kind=Kind.ENUMERATION, codes={0: '…', 1: '…'}; the mean of two codes means nothing",
        )
    if field.kind is Kind.ENUMERATION and field.unit != "1":
        yield f"kind {field.kind} with unit {field.unit}", "unit 1", 'set unit="1"; codes have no unit'


def _key_problems(field: Field, checker: Checker) -> Iterator[tuple[str, str, str]]:
    """Keys as sent that do not become the field: (found, expected, fix)."""
    low = -1 if field.low is None else field.low
    value = low + 1 if field.high is None else (low + field.high) / 2 or field.high
    for key in field.sources:
        # A path is followed as it is written.
        for sent in (key,) if is_path(key) else (key, key.upper(), key.lower()):
            try:
                found = checker.check({sent: field.as_sent(value)})
            except FrameError as error:
                found = ({}, {sent: error.reason})
            payload, left_out = found
            if payload.keys() != {field.name} or left_out or not isclose(payload[field.name], value, rel_tol=1e-9):
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
