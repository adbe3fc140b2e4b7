"""What a check answers: a finding, that all is well, or why it could not be asked.

What belongs here: the three answers and what a check is. What does not: the checks (`greenpower.wiring.checks`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from greenpower.wiring.circuit import Circuit


class Certainty(StrEnum):
    """How sure a finding is. sure: nothing else makes such values; likely: hardly anything else; possible: look."""

    SURE = "sure"
    LIKELY = "likely"
    POSSIBLE = "possible"


@dataclass(frozen=True, slots=True, kw_only=True)
class WiringFault:
    """A fault by its name. look: what to look at on site. explains: names of faults that follow from it."""

    name: str
    title: str
    look: str
    explains: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class WiringFinding:
    """A fault that was found. phases: `a`, `b`, `c`, or none for the whole circuit. saw: in words, with units.
    figures: the numbers of it. faulty, samples: how many of how many samples show it. follows: the name of the finding
    that explains it; empty for a cause."""

    fault: WiringFault
    circuit: str
    saw: str
    certainty: Certainty
    phases: tuple[str, ...] = ()
    figures: Mapping[str, float] = field(default_factory=dict)
    faulty: int
    samples: int
    follows: str = ""

    @property
    def name(self) -> str:
        """The name of the fault."""
        return self.fault.name


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing was found in so many samples."""

    samples: int


@dataclass(frozen=True, slots=True)
class NotAsked:
    """A check could not be asked. reason: a short text for people."""

    reason: str


Outcome = WiringFinding | Passed | NotAsked


@dataclass(frozen=True, slots=True, kw_only=True)
class WiringCheck:
    """A check of one circuit's day. compares: what, for people. ask: pure. faults: those that it can name."""

    name: str
    compares: str
    faults: tuple[WiringFault, ...]
    ask: Callable[[Circuit], Outcome]
