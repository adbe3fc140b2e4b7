"""What a kind of rule declares: its parameters, its subjects, and how it judges.

What belongs here: the declarations and the check of given parameters. What does not: which kinds there are
(`greenpower.alarms.kinds`, a module each, found by `kind_table`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import isfinite
from typing import Any

from greenpower.alarms.machine import Condition, Observation
from greenpower.alarms.site_view import SiteView
from greenpower.alarms.subject import AlarmSubject, SubjectKind
from greenpower.datatype import DataType

Params = Mapping[str, Any]
Judged = tuple[Condition, float]


class ParamKind(StrEnum):
    """What a parameter is."""

    NUMBER = "number"
    INTEGER = "integer"
    TEXT = "text"
    CHOICE = "choice"


@dataclass(frozen=True, slots=True, kw_only=True)
class KindParam:
    """A parameter of a kind. required: without it there is no rule; else `default`. minimum, maximum: inclusive."""

    name: str
    text: str
    kind: ParamKind = ParamKind.NUMBER
    required: bool = False
    default: float | str | None = None
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmKind:
    """A kind of rule. A module of `greenpower.alarms.kinds` has one, as `KIND`.

    Either `judge` or `observe`. judge: what a reading's values say, None where they say nothing; for parameters that
    were checked. fields: which values it looks at; None for any. observe: what is known of some subjects since so many
    seconds, by the subject's key, in order of time; called every `every` seconds and asked for the last `look_back`
    seconds, 0 for how it is now. settled: it can tell the past, for trials. needs_type: of devices, the rule must name
    a data type. problem: why parameters cannot be used together. type_problem: why they do not fit a data type.
    example: parameters that can be used.
    """

    name: str
    title: str
    text: str
    subjects: frozenset[SubjectKind]
    params: tuple[KindParam, ...]
    example: Params
    judge: Callable[[Params, Mapping[str, float]], Judged | None] | None = None
    fields: Callable[[Params], Sequence[str]] | None = None
    observe: Callable[[SiteView, Params, Sequence[AlarmSubject], float], Mapping[str, Sequence[Observation]]] | None = (
        None
    )
    every: int = 30
    look_back: int = 0
    settled: bool = True
    needs_type: bool = False
    problem: Callable[[Params], str | None] = lambda params: None
    type_problem: Callable[[Params, DataType], str | None] = lambda params, datatype: None


def read_params(kind: AlarmKind, given: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """Parameters with defaults for what is not given, and what is wrong with them, by name."""
    errors = {name: "There is no such parameter." for name in given if name not in {item.name for item in kind.params}}
    params: dict[str, Any] = {}
    for item in kind.params:
        value = given.get(item.name)
        if value is None:
            params[item.name] = item.default
            if item.required:
                errors[item.name] = "It is required."
        elif (wrong := _problem(item, value)) is not None:
            errors[item.name] = wrong
        else:
            params[item.name] = value
    if not errors and (problem := kind.problem(params)) is not None:
        errors[kind.params[0].name] = problem
    return params, errors


def _problem(item: KindParam, value: Any) -> str | None:
    if item.kind is ParamKind.TEXT:
        return None if isinstance(value, str) and 0 < len(value) <= 120 else "Give a text of 1 to 120 characters."
    if item.kind is ParamKind.CHOICE:
        return None if value in item.choices else f"Give one of: {', '.join(item.choices)}."
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
        return "Give a number."
    if item.kind is ParamKind.INTEGER and value != int(value):
        return "Give a whole number."
    if item.minimum is not None and value < item.minimum:
        return f"Give at least {item.minimum:g}."
    if item.maximum is not None and value > item.maximum:
        return f"Give at most {item.maximum:g}."
    return None
