"""Enumerations: codes with names. A state tells which codes held for how long; the number of a bucket is the last one.

    {n, first, first_at, last, last_at, changes, held, hold, codes: [[code, milliseconds], …], ends: [codes of `last`],
     lead: [codes before `first`], lead_until}

`codes`, `held`: between the first sample and the last, how long each code held, and any value at all, in whole
milliseconds, so that merging is exact in any grouping. `hold`: how long the last value holds at most. A value holds
until the next, at most its hold limit (`hold_limit`). `lead`, `lead_until`: what held before the first sample, and
until when; only where a sample before is known. The segments at the edges of a window are other ones in a larger
window: they are added when the times are read (`seconds_of`). A bit field holds the codes of all bits that are set; a
value that is no code holds none, but counts in `held`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise

from greenpower.measure.state import Number, State

Codes = tuple[int, ...]
MILLISECOND = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class CodeSet:
    """The codes of a field. bits: they are numbers of bits."""

    codes: frozenset[int]
    bits: bool = False

    def of(self, value: Number) -> Codes:
        """The codes that a value holds, in order."""
        whole = int(value)
        if whole != value:
            return ()
        if self.bits:
            return tuple(sorted(bit for bit in self.codes if whole >= 0 and whole >> bit & 1))
        return (whole,) if whole in self.codes else ()


@dataclass(frozen=True, slots=True)
class CodeSample:
    """A value, its time, and for how many milliseconds it holds at most."""

    value: Number
    at: datetime
    limit: int


def make_enumeration(samples: Sequence[CodeSample], codes: CodeSet, before: CodeSample | None = None) -> State:
    """The state of samples in order, at least one. before: the sample before them."""
    first, last = samples[0], samples[-1]
    times: Counter[int] = Counter()
    held = changes = 0
    for here, after in pairwise(samples):
        part = min((after.at - here.at) // MILLISECOND, here.limit)
        held += part
        changes += here.value != after.value
        for code in codes.of(here.value):
            times[code] += part
    state: State = {
        "n": len(samples),
        "first": first.value,
        "first_at": first.at,
        "last": last.value,
        "last_at": last.at,
        "changes": changes,
        "held": held,
        "hold": last.limit,
        "codes": _listed(times),
        "ends": list(codes.of(last.value)),
    }
    if before is not None:
        state["lead"] = list(codes.of(before.value))
        state["lead_until"] = min(first.at, before.at + before.limit * MILLISECOND)
    return state


def merge_enumerations(states: Sequence[State]) -> State:
    """The state of adjacent windows in order."""
    times: Counter[int] = Counter()
    held = changes = 0
    previous: State | None = None
    for state in states:
        if previous is not None:
            part = max(0, min((state["first_at"] - previous["last_at"]) // MILLISECOND, previous["hold"]))
            held += part
            changes += previous["last"] != state["first"]
            for code in previous["ends"]:
                times[code] += part
        held += state["held"]
        changes += state["changes"]
        for code, part in state["codes"]:
            times[code] += part
        previous = state
    first, last = states[0], states[-1]
    merged: State = {name: first[name] for name in ("first", "first_at", "lead", "lead_until") if name in first}
    merged |= {name: last[name] for name in ("last", "last_at", "hold", "ends")}
    n = sum(state["n"] for state in states)
    return {**merged, "n": n, "changes": changes, "held": held, "codes": _listed(times)}


def enumeration_value(state: State) -> Number:
    """The last value."""
    return state["last"]  # type: ignore[no-any-return]


def seconds_of(state: State, begin: datetime, end: datetime, *, over: bool) -> tuple[dict[int, float], float]:
    """For how many seconds of the window `[begin, end)` each code held, and any value at all. over: the last value
    holds on in it; else the window is still open, and it goes to its last sample."""
    times = Counter(dict(state["codes"]))
    held = state["held"]
    if "lead_until" in state and (lead := (state["lead_until"] - begin) // MILLISECOND) > 0:
        held += lead
        for code in state["lead"]:
            times[code] += lead
    if over and (last := min((end - state["last_at"]) // MILLISECOND, state["hold"])) > 0:
        held += last
        for code in state["ends"]:
            times[code] += last
    return {code: times[code] / 1000 for code in sorted(times)}, held / 1000


def enumeration_statistics(state: State, begin: datetime, end: datetime, *, over: bool) -> State:
    """What callers see of a state in the window `[begin, end)`: n, first, first_at, last, last_at, changes, and for how
    many seconds each code held and any value at all. over: as for `seconds_of`."""
    seconds, held = seconds_of(state, begin, end, over=over)
    shown = {name: state[name] for name in ("n", "first", "first_at", "last", "last_at", "changes")}
    return {**shown, "seconds": {str(code): part for code, part in seconds.items()}, "held": held}


def _listed(times: Counter[int]) -> list[list[int]]:
    return [[code, part] for code, part in sorted(times.items())]
