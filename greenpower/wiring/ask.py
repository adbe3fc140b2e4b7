"""Asking all checks about a circuit's day, and which finding follows from which.

What belongs here: the list of checks, which is that of the modules in `checks`, and causes. What does not: where days
come from.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from greenpower.wiring import checks
from greenpower.wiring.circuit import Circuit
from greenpower.wiring.outcome import Outcome, WiringCheck, WiringFault, WiringFinding
from greenpower.wiring.tree import FAULT as CHILDREN_FAULT


@dataclass(frozen=True, slots=True)
class CheckAnswer:
    """What a check says of a circuit."""

    check: WiringCheck
    circuit: str
    outcome: Outcome


@cache
def all_checks() -> tuple[WiringCheck, ...]:
    """The checks, by name."""
    names = sorted(module.name for module in pkgutil.iter_modules(checks.__path__))
    return tuple(importlib.import_module(f"{checks.__name__}.{name}").CHECK for name in names)


def all_faults() -> dict[str, WiringFault]:
    """The faults that the checks of a circuit can name."""
    return {fault.name: fault for check in all_checks() for fault in check.faults}


def fault_of(name: str) -> WiringFault | None:
    """A fault by its name, of a circuit or of a tree of meter points."""
    return CHILDREN_FAULT if name == CHILDREN_FAULT.name else all_faults().get(name)


def ask_all(circuit: Circuit) -> list[CheckAnswer]:
    """What every check says of a circuit. Pure."""
    return with_causes([CheckAnswer(check, circuit.name, check.ask(circuit)) for check in all_checks()])


def with_causes(answers: Sequence[CheckAnswer]) -> list[CheckAnswer]:
    """The same answers; a finding that another one explains says which: the first cause, not one in between."""
    found = {answer.outcome.name: answer.outcome for answer in answers if isinstance(answer.outcome, WiringFinding)}
    roots = {name: root for name in found if (root := _root(name, found))}
    return [
        replace(answer, outcome=replace(answer.outcome, follows=roots[answer.outcome.name]))
        if isinstance(answer.outcome, WiringFinding) and answer.outcome.name in roots
        else answer
        for answer in answers
    ]


def _root(name: str, found: Mapping[str, WiringFinding]) -> str:
    """The cause of a finding that is explained by none; empty for a cause. No faults explain each other."""
    cause = next((other for other, item in found.items() if name in item.fault.explains), "")
    return cause and (_root(cause, found) or cause)
