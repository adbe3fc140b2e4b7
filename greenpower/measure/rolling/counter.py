"""Rolling up counters: the rules of `greenpower.measure.counter`, and the fast path for registers that only rise."""

from __future__ import annotations

from greenpower.measure.column import Column
from greenpower.measure.counter.counted import Counted
from greenpower.measure.counter.cut import undisturbed
from greenpower.measure.counter.rules import SAMPLES_BEFORE
from greenpower.measure.counter.state import counter_value
from greenpower.measure.rolling.rolled import Rolled
from greenpower.measure.rolling.stretch import Places, RollStretch


def roll_counter(stretch: RollStretch, column: Column, places: Places) -> None:
    """Put what became of a counter into the buckets, its slots and its incidents into the result."""
    name, values = column.name, column.values
    result, register = stretch.result, stretch.register
    rules, carry = stretch.rules(name), stretch.carries.get(name)
    whole = carry is None and name in stretch.carries
    if not register.rises_as_usual(column, rules, carry):
        put_counted(result, name, register.count(column, places, rules, carry, whole=whole))
        return
    times = register.times_of(column)
    for bucket, (a, b) in zip(result.buckets, places, strict=True):
        if a < b:
            bucket.stats[name] = undisturbed(values, times, a, b)
            bucket.payload[name] = values[b - 1]
    found, short = register.usual_slots(column)
    if found:
        result.slots[name] = found
    if not whole and (short or (carry is None and column.first_from(stretch.low) < SAMPLES_BEFORE)):
        result.short.add(name)


def put_counted(result: Rolled, name: str, counted: Counted) -> None:
    """Put what became of a register into the result."""
    for bucket, state in zip(result.buckets, counted.states, strict=True):
        if state is not None:
            bucket.stats[name] = state
            bucket.payload[name] = counter_value(state)
    if counted.slots:
        result.slots[name] = list(counted.slots)
    if counted.short:
        result.short.add(name)
    if counted.open:
        result.open.add(name)
    if counted.holds:
        for bucket, hold in zip(result.buckets, counted.holds, strict=True):
            if hold is not None:
                bucket.holds[name] = hold
    for number in counted.unsettled:
        result.buckets[number].settled = False
    result.incidents += counted.events
