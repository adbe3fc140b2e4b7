"""The plain, slow recomputation that rollups are held against: straight from the rules, one sample at a time.

It shares nothing with `greenpower.measure` but the names of a state's parts. Counters are in `plain_counter`.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from tests.measure.plain_counter import count, windows
from tests.measure.plain_series import PlainMeter

Number = int | float
Reading = tuple[datetime, Mapping[str, Any]]
Sample = tuple[datetime, Number]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def window_of(time: datetime, length: int) -> datetime:
    """The start of a time's window."""
    return EPOCH + (time - EPOCH) // timedelta(seconds=length) * timedelta(seconds=length)


def counter(
    samples: Sequence[Sample],
    length: int,
    rate: Number | None = None,
    modulus: Number | None = None,
    *,
    floor: Number | None = None,
    **known: Any,
) -> dict[datetime, Any]:
    """Window -> {n, first, first_at, last, last_at, correction, entry}, the last two exact. known: see `PlainMeter`."""
    meter = PlainMeter(rate=rate, modulus=modulus, floor=floor, **known)
    return windows(count(samples, meter), lambda time: window_of(time, length))


def gauge(samples: Iterable[Sample], length: int) -> dict[datetime, Any]:
    """Window -> {n, sum, min, max}, and `size`, the sum of magnitudes that rounding goes by."""
    found: dict[datetime, Any] = {}
    for time, value in samples:
        state = found.setdefault(
            window_of(time, length), {"n": 0, "sum": Fraction(), "min": value, "max": value, "size": 0.0}
        )
        state["n"] += 1
        state["sum"] += Fraction(value)
        state["min"], state["max"] = min(state["min"], value), max(state["max"], value)
        state["size"] += abs(value)
    return found


def angle(samples: Iterable[Sample], length: int) -> dict[datetime, Any]:
    """Window -> {n, sin, cos}."""
    found: dict[datetime, Any] = {}
    for time, value in samples:
        state = found.setdefault(window_of(time, length), {"n": 0, "sin": 0.0, "cos": 0.0})
        state["n"] += 1
        state["sin"] += math.sin(value * math.pi / 180)
        state["cos"] += math.cos(value * math.pi / 180)
    return found


def last(samples: Iterable[Sample], length: int) -> dict[datetime, Any]:
    """Window -> {n, last, at}."""
    found: dict[datetime, Any] = {}
    for time, value in samples:
        state = found.setdefault(window_of(time, length), {"n": 0})
        state["n"] += 1
        state |= {"last": value, "at": time}
    return found


def delta(samples: Sequence[Sample], length: int, rate: Number | None = None) -> dict[datetime, Any]:
    """Window -> {n, total, first_at, last_at}, the total exact. rate: most per hour. A sample of more than can have
    been used since the one before counts nothing."""
    found: dict[datetime, Any] = {}
    before: datetime | None = None
    for time, value in samples:
        state = found.setdefault(window_of(time, length), {"n": 0, "total": Fraction(), "first_at": time})
        state["n"] += 1
        state["last_at"] = time
        if rate is None or before is None or abs(value) <= rate * (time - before).total_seconds() / 3600:
            state["total"] += Fraction(value)
        before = time
    return found


def enumeration(
    samples: Sequence[Sample],
    length: int,
    codes_of: Callable[[Number], Iterable[int]],
    limits: Mapping[int, Fraction],
) -> dict[datetime, Any]:
    """Window -> {n, first, first_at, last, last_at, changes, held, codes}: times between its samples in milliseconds.
    limits: how long a value holds at most, by its time, in microseconds."""
    found: dict[datetime, Any] = {}
    for time, value in samples:
        start = window_of(time, length)
        state = found.setdefault(
            start, {"n": 0, "first": value, "first_at": time, "changes": 0, "held": 0, "codes": Counter[int]()}
        )
        if state["n"]:
            limit = limits[(state["last_at"] - EPOCH) // timedelta(microseconds=1)] / 1000
            part = int(min((time - state["last_at"]) / timedelta(milliseconds=1), limit))
            state["held"] += part
            state["changes"] += value != state["last"]
            for code in codes_of(state["last"]):
                state["codes"][code] += part
        state["n"] += 1
        state |= {"last": value, "last_at": time}
    return found


def same(kind: str, state: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether a state is the wanted one: exactly, but for sums, which may be off by 1e-9 of what was added up."""
    if state["n"] != wanted["n"]:
        return False
    if kind == "gauge":
        close = abs(Fraction(state["sum"]) - wanted["sum"]) <= Fraction(1e-9) * Fraction(wanted["size"])
        return bool(close and state["min"] == wanted["min"] and state["max"] == wanted["max"])
    if kind == "angle":
        return all(abs(state[part] - wanted[part]) <= 1e-9 * wanted["n"] for part in ("sin", "cos"))
    if kind == "state":
        return bool(state["last"] == wanted["last"] and state["at"] == wanted["at"])
    if kind == "delta":
        total = sum(map(Fraction, (state["total"], *state.get("rest", ()))), Fraction())
        return bool(total == wanted["total"] and all(state[part] == wanted[part] for part in ("first_at", "last_at")))
    if kind == "enumeration":
        return {code: part for code, part in state["codes"] if part} == +wanted["codes"] and all(
            state[part] == wanted[part] for part in ("first", "first_at", "last", "last_at", "changes", "held")
        )
    entry = state.get("entry", 0)
    parts = {
        "correction": (state["correction"], *state.get("rest", ())),
        "entry": entry if isinstance(entry, list | tuple) else (entry,),
    }
    return all(sum(map(Fraction, found), Fraction()) == wanted[name] for name, found in parts.items()) and all(
        state[part] == wanted[part] for part in ("first", "first_at", "last", "last_at")
    )
