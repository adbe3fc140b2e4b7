"""A stretch: the readings of one device that are rolled up, as the modules of all kinds get them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo

from greenpower.measure.column import Column, Cut
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.register import Register
from greenpower.measure.counter.rules import CounterRules, OperatorDecision
from greenpower.measure.rolling.held_times import HeldTimes
from greenpower.measure.rolling.rolled import Rolled
from greenpower.measure.spec import Spec
from greenpower.measure.state import Number

#: for each window, a field's first number and the one past its last
Places = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RollStretch:
    """Readings in order of time, of which number `low` to `high` are asked for.

    cuts: the windows that have readings. quarters: the quarter-hours, where slots are wanted. settled_before,
    decisions, carries, arrivals, stale_after, power, zone: as `roll` is given them. register: the rules of registers
    for this stretch. held_times: how long values hold. result: what the fields are put into.
    """

    times: Sequence[datetime]
    low: int
    high: int
    cuts: Sequence[Cut]
    quarters: Sequence[Cut]
    settled_before: datetime
    spec: Spec
    decisions: Mapping[str, OperatorDecision]
    carries: Mapping[str, Carry | None]
    arrivals: Sequence[bool] | None
    stale_after: float | None
    power: Number | None
    zone: tzinfo | None
    register: Register
    held_times: HeldTimes
    result: Rolled

    def rules(self, name: str) -> CounterRules:
        """The rules of a field with energy."""
        return self.spec.rules(name, self.decisions, self.power, self.zone)

    def times_of(self, column: Column) -> Sequence[datetime]:
        """The times of the numbers of a column."""
        return self.register.times_of(column)
