"""What an operator and a declaration say of a counter: its limits, swaps of its meter, verdicts on incidents. Pure.

What belongs here: the words and numbers that the rules are given. What does not: how a series is gone through
(`passage`), what its neighbourhood says of a step (`changes`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, tzinfo
from enum import StrEnum
from functools import cached_property

from greenpower.measure.state import Number

SECONDS_PER_HOUR = 3_600
# How many samples after one decide whether it is left out. All contexts are counted in samples, never in time.
SAMPLES_AHEAD = 3
# As many samples before a stretch show whether its counters do anything unusual at its begin.
SAMPLES_BEFORE = SAMPLES_AHEAD + 1
# A rise by more than this is never taken as counted, whatever is declared.
LARGEST_STEP = 9e9
# Decimals that are meant to be equal to a limit are within it.
ROUNDING = 1 + 1e-9
# Nothing above this is ever booked: sums of it still fit into 64 bits of counts.
LARGEST_ENERGY = 1e12


class Incident(StrEnum):
    """What happened to a counter.

    Left out: DIP, samples below a register that comes back; SPIKE, one above it. RESET: it began again near 0.
    ROLLOVER: it passed its end. STEP: it rose by more than the limit. FALL: it fell, and it is not clear yet whether it
    comes back. RESTART: it fell, stayed, and did not begin near 0. SMALL_FALL: it fell by at most a tenth and goes on.
    UNIT_CHANGE: it goes on in another unit. SWAP: another meter.
    """

    DIP = "dip"
    SPIKE = "spike"
    RESET = "reset"
    ROLLOVER = "rollover"
    STEP = "suspect_step"
    FALL = "fall"
    RESTART = "suspect_restart"
    SMALL_FALL = "small_fall"
    UNIT_CHANGE = "unit_change"
    SWAP = "swap"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a counter can do. modulus: where it rolls over. rate: its steepest rise. floor: a rise that every meter of
    this unit is believed, so that a limit can be learned from what it does; None where none is learned. Per hour.

    net: it counts both ways, and these are rates of falls, too. daily: it begins again each local day.
    """

    modulus: Number | None = None
    rate: Number | None = None
    floor: Number | None = None
    net: bool = False
    daily: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Swap:
    """A meter was exchanged. last: the old one's last reading. first: the new one's, whose samples begin at `at`.

    None where nobody read it: then the sample next to the exchange stands for it, and nothing is lost or invented.
    """

    at: datetime
    last: Number | None
    first: Number | None


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorDecision:
    """The operator's decisions on one counter of one device. verdicts: whether an incident is real, by its time."""

    swaps: tuple[Swap, ...] = ()
    verdicts: Mapping[datetime, bool] = field(default_factory=dict)


@dataclass(frozen=True)
class CounterRules:
    """The rules of one counter of one device. power: the greatest rate that the registry gives for this device, in the
    field's unit per hour; it replaces what is declared and what is learned. zone: of its days."""

    limits: Limits = Limits()
    decision: OperatorDecision = OperatorDecision()
    power: Number | None = None
    zone: tzinfo = UTC

    @cached_property
    def base_rate(self) -> Number | None:
        """Rises up to this, per hour, need no further look; None where all do not."""
        if self.power is not None:
            return self.power
        known = [rate for rate in (self.limits.rate, self.limits.floor) if rate is not None]
        return min(known, default=None)

    @property
    def learns(self) -> bool:
        """Whether the limit is learned from what the register does around a step."""
        return self.power is None and self.limits.floor is not None

    def within_base(self, rise: Number, seconds: float) -> bool:
        """Whether a rise since the sample before it, so long ago, needs no further look."""
        if rise > LARGEST_STEP:
            return False
        rate = self.base_rate
        return rate is None or rise <= highest_rise(rate, seconds)


def highest_rise(rate: Number, seconds: float) -> float:
    """The most that a register can rise in so many seconds. rate: per hour."""
    return rate * seconds / SECONDS_PER_HOUR * ROUNDING
