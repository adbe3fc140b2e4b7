"""The rules of a counter: what lies between two neighbouring samples besides what the register shows.

The energy between them is `after - before + correction`. Pure: it depends on the two samples, the field's limits and
the operator's decisions. So the rules apply to an edge between windows as to any other pair, without the readings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from fractions import Fraction

from greenpower.measure.state import Number

SECONDS_PER_HOUR = 3_600
# A register that passes its end is read soon after: the step across it is a small part of its range.
LARGEST_ROLLOVER = 0.1


class Incident(StrEnum):
    """What happened to a counter.

    DIP: a sample below the register, which comes back. RESET: it began again from 0. ROLLOVER: it passed its end. STEP,
    RESTART: it rose, or began again, by more than the limit: not counted until an operator confirms it. SWAP: another
    meter.
    """

    DIP = "dip"
    RESET = "reset"
    ROLLOVER = "rollover"
    STEP = "suspect_step"
    RESTART = "suspect_restart"
    SWAP = "swap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a counter can do. modulus: where it rolls over. rate: its steepest rise, per hour."""

    modulus: Number | None = None
    rate: Number | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A meter was exchanged. last: the old one's last reading. first: the new one's, whose samples begin at `at`."""

    at: datetime
    last: Number
    first: Number


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDecision:
    """The operator's decisions on one counter of one device. verdicts: whether an incident is real, by its time."""

    swaps: tuple[Swap, ...] = ()
    verdicts: Mapping[datetime, bool] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Verdict:
    """What lies between two samples, and what it adds to the energy between them."""

    incident: Incident
    correction: Fraction


@dataclass(frozen=True, slots=True)
class CounterRules:
    """The rules of one counter of one device."""

    limits: Limits = Limits()
    decision: OperatorDecision = OperatorDecision()

    def highest_step(self, before_at: datetime, after_at: datetime) -> float | None:
        """The most that the register can rise between two times; None where no limit is declared."""
        if self.limits.rate is None:
            return None
        return self.limits.rate * (after_at - before_at).total_seconds() / SECONDS_PER_HOUR

    def between(self, before: Number, before_at: datetime, after: Number, after_at: datetime) -> Verdict | None:
        """What lies between two neighbouring samples that count; None if only what the register shows."""
        swaps = [swap for swap in self.decision.swaps if before_at < swap.at <= after_at]
        if swaps:
            return Verdict(Incident.SWAP, sum((Fraction(s.last) - Fraction(s.first) for s in swaps), Fraction()))
        highest = self.highest_step(before_at, after_at)
        if after >= before:
            if highest is None or after - before <= highest:
                return None
            real = self.decision.verdicts.get(after_at, False)
            return Verdict(Incident.STEP, Fraction() if real else Fraction(before) - Fraction(after))
        incident, correction = self._fall(before, after, highest)
        if not self.decision.verdicts.get(after_at, incident is not Incident.RESTART):
            correction = Fraction(before) - Fraction(after)  # nothing was counted between the two
        return Verdict(incident, correction)

    def _fall(self, before: Number, after: Number, highest: float | None) -> tuple[Incident, Fraction]:
        modulus = self.limits.modulus
        if modulus is not None and 0 <= after <= before <= modulus:
            across = after - before + modulus
            if across <= modulus * LARGEST_ROLLOVER and (highest is None or across <= highest):
                return Incident.ROLLOVER, Fraction(modulus)
        if after < 0 or (highest is not None and after > highest):
            return Incident.RESTART, Fraction(before)
        return Incident.RESET, Fraction(before)
