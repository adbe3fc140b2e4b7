"""What the plain recomputation of a counter finds: its steps, its incidents, and sums over any stretch.

How they are found is in `plain_walk` and `plain_counter`.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction

from tests.measure.plain_series import Number

#: What is added up: (sign, register). The energy of a step is the sum of the registers, exact or in millionths.
Terms = tuple[tuple[int, Number], ...]
MILLION = 1_000_000


@dataclass(slots=True)
class PlainStep:
    """A sample that counts: what was counted since the one before it, and the silence in seconds that lies between."""

    at: datetime
    value: Number
    terms: Terms = ()
    silence: int = 0
    small_fall: bool = False

    @property
    def counts(self) -> int:
        """The energy in millionths of the unit."""
        return sum(sign * round(value * 1e6) for sign, value in self.terms)

    @property
    def exact(self) -> Fraction:
        """The energy without rounding."""
        return sum((sign * Fraction(value) for sign, value in self.terms), Fraction())


@dataclass(slots=True)
class PlainIncident:
    """What happened at a sample. status: noted, open, or what the operator decided. until: the end of a hold."""

    kind: str
    at: datetime
    status: str = "noted"
    until: datetime | None = None


@dataclass(slots=True)
class Hold:
    """A fall, or a change of unit, of which it is not known yet what it means."""

    incident: PlainIncident
    level: Number
    at: datetime
    typical: Fraction
    near: bool = False
    pending: Terms = ()
    steps: int = 0
    unit: int | None = None
    landed: Number = 0


@dataclass(slots=True)
class PlainCount:
    """All that a counter did."""

    steps: list[PlainStep] = field(default_factory=list)
    incidents: list[PlainIncident] = field(default_factory=list)
    hold: Hold | None = None

    def between(self, begin: datetime, end: datetime) -> list[PlainStep]:
        """The samples with begin <= t < end."""
        low, high = (bisect_left(self.steps, time, key=lambda step: step.at) for time in (begin, end))
        return self.steps[low:high]

    def energy(self, begin: datetime, end: datetime) -> int | None:
        """Millionths counted in a stretch, None where it has no sample that counts."""
        steps = self.between(begin, end)
        return sum(step.counts for step in steps) if steps else None

    def samples(self, begin: datetime, end: datetime) -> int:
        return len(self.between(begin, end))

    def silence(self, begin: datetime, end: datetime) -> int:
        """Seconds of silence that the energy of a stretch includes."""
        return sum(step.silence for step in self.between(begin, end))

    def register_before(self, boundary: datetime) -> Number | None:
        """The register that the last sample before a boundary showed."""
        place = bisect_left(self.steps, boundary, key=lambda step: step.at)
        return self.steps[place - 1].value if place else None

    @property
    def total(self) -> Fraction:
        """The energy of the whole series, exact to a millionth."""
        return Fraction(sum(step.counts for step in self.steps), MILLION)

    def found(self, *, status: str = "open") -> list[tuple[str, datetime]]:
        """(kind, time) of the incidents of a status."""
        return [(incident.kind, incident.at) for incident in self.incidents if incident.status == status]
