"""What a meter point counted in a stretch of time, and how good that is. Pure.

Energies are whole billionths of the carrier's unit (`UNIT`), so that counters in Wh, kWh and MWh add up exactly.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import pairwise, starmap

from bson import ObjectId

from greenpower.energy.measured_stretch import MeasuredStretch
from greenpower.measure.slot import COUNTS_PER_UNIT

UNIT = 10**9


@dataclass(slots=True, kw_only=True)
class Amount:
    """An amount of energy and how good it is.

    energy: billionths of the carrier's unit. counted: whether anything is known of it. covered_s: seconds that lie
    between registers, of passed_s that have passed; of several counters those of the worst. silence_s: seconds of
    silence whose energy is in it. last_at: the newest sample; of several counters of the one that is behind.
    corrections: that have changed it; estimated: one of them by a guess. closed: whether figures of closed months are
    in it; adjustment: what is known now less this, billionths.
    """

    energy: int = 0
    counted: bool = False
    covered_s: float = 0.0
    passed_s: float = 0.0
    silence_s: int = 0
    undecided: bool = False
    final: bool = True
    estimated: bool = False
    last_at: datetime | None = None
    corrections: dict[ObjectId, None] = field(default_factory=dict)
    closed: bool = False
    adjustment: int = 0

    @classmethod
    def measured(cls, item: MeasuredStretch, passed_s: float, per_count: int) -> Amount:
        """That of one counter. per_count: billionths of the carrier's unit in a millionth of the counter's."""
        stretch = item.stretch
        return cls(
            energy=stretch.energy * per_count,
            counted=stretch.counted,
            covered_s=item.coverage * passed_s,
            passed_s=passed_s,
            silence_s=stretch.silence_s,
            undecided=item.undecided,
            final=item.final,
            estimated=stretch.estimated,
            last_at=stretch.last_at,
            corrections=dict.fromkeys(stretch.corrections),
        )

    @property
    def value(self) -> float | None:
        """In the carrier's unit; None where nothing is known."""
        return self.energy / UNIT if self.counted else None

    @property
    def exact(self) -> Decimal:
        """In the carrier's unit, exactly."""
        return Decimal(self.energy).scaleb(-9)

    @property
    def coverage(self) -> float:
        """0 to 1: the part, as far as it has passed, that lies between registers."""
        return round(self.covered_s / self.passed_s, 4) if self.passed_s else 0.0

    def add_next(self, later: Amount) -> None:
        """Add what was counted after it."""
        self._add(1, later)
        self.covered_s += later.covered_s
        self.passed_s += later.passed_s
        self.silence_s += later.silence_s
        self.last_at = later.last_at or self.last_at

    def add_beside(self, other: Amount, sign: int = 1) -> None:
        """Add, or with sign -1 subtract, what was counted at the same time elsewhere."""
        worse = not self.passed_s or other.coverage < self.coverage
        self._add(sign, other)
        if worse:
            self.covered_s, self.passed_s = other.covered_s, other.passed_s
        self.silence_s = max(self.silence_s, other.silence_s)
        self.last_at = min(filter(None, (self.last_at, other.last_at)), default=None)

    def _add(self, sign: int, other: Amount) -> None:
        self.energy += sign * other.energy
        if other.closed:
            self.closed = True
            self.adjustment += sign * other.adjustment
        self.counted |= other.counted
        self.undecided |= other.undecided
        self.final &= other.final
        self.estimated |= other.estimated
        self.corrections.update(other.corrections)


def sum_next(amounts: Iterable[Amount]) -> Amount:
    """One after the other."""
    found = Amount()
    for amount in amounts:
        found.add_next(amount)
    return found


def sum_beside(amounts: Iterable[Amount]) -> Amount:
    """At the same time."""
    found = Amount()
    for amount in amounts:
        found.add_beside(amount)
    return found


def slices_between(boundaries: Sequence[datetime], cuts: Sequence[datetime]) -> list[slice]:
    """Which of the amounts between cuts lie between each two boundaries. boundaries: all of them are cuts, too."""
    places = [bisect_left(cuts, boundary) for boundary in boundaries]
    return list(starmap(slice, pairwise(places)))


def per_count(unit: str, carrier_unit: str) -> int | None:
    """Billionths of a carrier's unit in a millionth of a counter's unit; None where they do not measure one thing, or
    sums would not be exact."""
    return _PER_COUNT.get((unit, carrier_unit))


_PER_COUNT = {
    (unit, carrier_unit): UNIT // COUNTS_PER_UNIT * factor // divisor
    for carrier_unit, units in {
        "kWh": {"Wh": (1, 1000), "kWh": (1, 1), "MWh": (1000, 1)},
        "m³": {"L": (1, 1000), "m³": (1, 1)},
    }.items()
    for unit, (factor, divisor) in units.items()
}
