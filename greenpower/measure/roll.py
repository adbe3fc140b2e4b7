"""Rolling up the readings of one device into its buckets. The hot path: one column per field, one pass per column.
What becomes of a column is said by the module of its kind (`greenpower.measure.rolling`); gauges and angles that came
together are worked on together (`greenpower.measure.rolling.held`).

Some readings before and after the stretch that is asked for are given, too: they tell which samples of its counters
are accepted, and what lies between them.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta, tzinfo

from greenpower.datatype import Kind
from greenpower.measure.bucket import Bucket
from greenpower.measure.column import Column, Cut, Payload, make_columns
from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.register import Register
from greenpower.measure.counter.rules import OperatorDecision
from greenpower.measure.held_block import HELD_COLUMNS, KINDS_THAT_HOLD
from greenpower.measure.rolling.before_field import BeforeField
from greenpower.measure.rolling.counter import roll_counter
from greenpower.measure.rolling.delta import roll_delta
from greenpower.measure.rolling.enumeration import roll_enumeration
from greenpower.measure.rolling.held import put_held
from greenpower.measure.rolling.held_times import HeldTimes
from greenpower.measure.rolling.rolled import Rolled
from greenpower.measure.rolling.state import roll_state
from greenpower.measure.rolling.stretch import Places, RollStretch
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.spec import NO_DECISIONS, Spec
from greenpower.measure.state import Number
from greenpower.measure.windows import floor

__all__ = ["Rolled", "roll"]

NO_NAMES: frozenset[str] = frozenset()
NO_HOLDS: Mapping[datetime, float] = {}
NO_CARRIES: Mapping[str, Carry | None] = {}


ROLL: Mapping[Kind, Callable[[RollStretch, Column, Places], None]] = {
    Kind.STATE: roll_state,
    Kind.ENUMERATION: roll_enumeration,
    Kind.COUNTER: roll_counter,
    Kind.NET: roll_counter,
    Kind.DAILY: roll_counter,
    Kind.DELTA: roll_delta,
}


def roll(
    times: Sequence[datetime],
    payloads: Sequence[Payload],
    *,
    begin: datetime,
    end: datetime,
    length: int,
    spec: Spec,
    settled_before: datetime,
    decisions: Mapping[str, OperatorDecision] = NO_DECISIONS,
    accepted: frozenset[str] = NO_NAMES,
    carries: Mapping[str, Carry | None] = NO_CARRIES,
    arrivals: Sequence[bool] | None = None,
    stale_after: float | None = None,
    slots: bool = False,
    power: Number | None = None,
    zone: tzinfo | None = None,
    only: frozenset[str] | None = None,
    leave_short: bool = False,
    known: Sequence[datetime] | None = None,
    holds: Mapping[datetime, float] = NO_HOLDS,
) -> Rolled:
    """The buckets of `[begin, end)`, whole windows of `length` seconds, from readings in order of time.

    settled_before: between readings before this time no further one is expected (one that comes makes the window be
    computed again). decisions: the operator's, by counter. accepted: the undeclared fields that are rolled up. carries:
    the registers that are known before `begin`, by counter: the samples up to there only show what a register usually
    does; None: the samples given are all there ever were. Without a key nothing is known of what was before, and a
    counter that does anything unusual is `short`. arrivals: by reading, whether its time is that of
    its arrival. stale_after: the shortest silence in seconds. slots: make them, too. power: the greatest power that
    this device is registered with, in kW. zone: the device's, in which daily counters begin again at midnight; UTC
    where it is None. only: the fields that are rolled up; None: all. leave_short: of fields that are `short` nothing
    else is given. known: the times of the device's readings up to the last one of the stretch, without a gap, which
    tell how long values hold; None where those given are all that is known. holds: how long those before the stretch
    do, in seconds by time, where that is known without the times. Raises ValueError where a carry is not before
    `begin`.
    """
    late = [name for name, carry in carries.items() if carry is not None and carry.at >= begin]
    if late:
        raise ValueError(f"the register of {', '.join(late)} before {begin} is not of a time before it")
    low, high = bisect_left(times, begin), bisect_left(times, end)
    result = Rolled()
    if low == high:
        return result
    cuts = _cuts(times, low, high, length)
    result.buckets = [Bucket(start=start, count=j - i, first=times[i], last=times[j - 1]) for start, i, j in cuts]
    quarters = _cuts(times, low, high, QUARTER_SECONDS) if slots and spec.counters else ()
    register = Register(times, low, high, settled_before, arrivals=arrivals, stale_after=stale_after, quarters=quarters)
    stretch = RollStretch(
        times=times,
        low=low,
        high=high,
        cuts=cuts,
        quarters=quarters,
        settled_before=settled_before,
        spec=spec,
        decisions=decisions,
        carries=carries,
        arrivals=arrivals,
        stale_after=stale_after,
        power=power,
        zone=zone,
        register=register,
        held_times=HeldTimes(times, low, high, known, stale_after or 0, holds),
        result=result,
    )
    held: dict[Kind, list[Column]] = {}
    for column in make_columns(payloads, only):
        name = column.name
        if name in spec.refused:
            continue
        places = column.cut(cuts)
        if not any(a < b for a, b in places):
            continue
        kind = spec.kinds.get(name)
        if kind is None:
            if name not in accepted:
                result.unknown.add(name)
                continue
            kind = Kind.GAUGE
        if kind in KINDS_THAT_HOLD and column.first_from(low) == 0:
            result.leadless.add(name)
        if kind in HELD_COLUMNS:
            held.setdefault(kind, []).append(column)
            continue
        before = BeforeField.of(stretch) if leave_short else None
        ROLL[kind](stretch, column, places)
        if before is not None and name in result.short:
            before.bring_back(stretch, name)
    if only is None:
        put_held(stretch, held, length)
    result.revisit, result.resettle = register.revisit, register.resettle
    return result


def _cuts(times: Sequence[datetime], low: int, high: int, length: int) -> list[Cut]:
    """The windows that readings `low` to `high` lie in."""
    cuts = []
    step = timedelta(seconds=length)
    here = low
    while here < high:
        start = floor(times[here], length)
        there = bisect_left(times, start + step, here, high)
        cuts.append((start, here, there))
        here = there
    return cuts
