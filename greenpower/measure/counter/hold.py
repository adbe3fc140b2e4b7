"""Holds: what a counter keeps in mind after a fall, until it is clear whether the register comes back.

What belongs here: the values and how they are stored. What does not: how a hold begins and ends (`passage`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from typing import Any

from greenpower.measure.counter.total import join_total, split_total
from greenpower.measure.state import Number


@dataclass(frozen=True, slots=True, kw_only=True)
class Hold:
    """An open fall.

    level, at: the register that was left, and the time of its sample. since: the time of the sample that began it;
    landed: what it showed. typical: the typical step before it. near: the register began again near 0. pending: what it
    has counted since and is not booked yet. steps: how often it rose since. unit: the register's unit changed, which
    only an operator ends.
    """

    level: Number
    at: datetime
    since: datetime
    typical: Number
    near: bool
    pending: Fraction
    steps: int
    unit: bool
    landed: Number = 0

    def to_document(self) -> dict[str, Any]:
        """The hold as buckets keep it. pending: a number, or several whose sum it is."""
        nearest, rest = split_total(self.pending)
        return {
            "level": self.level,
            "at": self.at,
            "since": self.since,
            "typical": self.typical,
            "near": self.near,
            "pending": [nearest, *rest] if rest else nearest,
            "steps": self.steps,
            "unit": self.unit,
            "landed": self.landed,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Hold:
        """The hold of a stored bucket."""
        pending = document["pending"]
        parts = pending if isinstance(pending, list) else [pending]
        return cls(**{**document, "pending": join_total(parts[0], parts[1:])})


@dataclass(frozen=True, slots=True, kw_only=True)
class Carry:
    """The register that is known before a series: its value, the time of its sample, and the open fall there.

    value: NaN for a delta, which has no register, but a sample before.
    """

    value: Number
    at: datetime
    hold: Hold | None = None

    @property
    def register(self) -> Number | None:
        """The register; None for a delta."""
        return None if self.value != self.value else self.value

    def to_document(self) -> dict[str, Any]:
        """The carry as a document."""
        return {"value": self.value, "at": self.at, "hold": None if self.hold is None else self.hold.to_document()}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Carry:
        """The carry of a document."""
        hold = document.get("hold")
        return cls(value=document["value"], at=document["at"], hold=None if hold is None else Hold.from_document(hold))
