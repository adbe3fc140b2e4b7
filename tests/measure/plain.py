"""The plain, slow recomputation that rollups are held against: straight from the rules, one sample at a time.

It shares nothing with `greenpower.measure` but the names of a state's parts.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

Number = int | float
Reading = tuple[datetime, Mapping[str, Any]]
Sample = tuple[datetime, Number]
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def window_of(time: datetime, length: int) -> datetime:
    """The start of a time's window."""
    return EPOCH + (time - EPOCH) // timedelta(seconds=length) * timedelta(seconds=length)


def kept(samples: Sequence[Sample]) -> list[Sample]:
    """The samples of a counter that count."""
    result: list[Sample] = []
    for index, (time, value) in enumerate(samples):
        if result and value < result[-1][1]:
            later = [other for _, other in samples[index + 1 : index + 4]]
            if any(other >= result[-1][1] for other in later) or len(later) < 3:
                continue
        result.append((time, value))
    return result


def between(before: Sample, after: Sample, rate: Number | None, modulus: Number | None) -> Fraction:
    """The correction of a pair of samples that count."""
    highest = math.inf if rate is None else rate * (after[0] - before[0]).total_seconds() / 3600
    step = Fraction(after[1]) - Fraction(before[1])
    if step >= 0:
        return -step if after[1] - before[1] > highest else Fraction()
    if modulus is not None and 0 <= after[1] <= before[1] <= modulus:
        across = after[1] - before[1] + modulus
        if across <= modulus * 0.1 and across <= highest:
            return Fraction(modulus)
    if after[1] > highest or after[1] < 0:
        return -step
    return Fraction(before[1])


def counter(samples: Sequence[Sample], length: int, rate: Number | None, modulus: Number | None) -> dict[datetime, Any]:
    """Window -> {n, first, first_at, last, last_at, correction} with an exact correction."""
    found: dict[datetime, Any] = {}
    before: Sample | None = None
    for sample in kept(samples):
        start = window_of(sample[0], length)
        state = found.get(start)
        if state is None:
            found[start] = {"n": 1, "first": sample[1], "first_at": sample[0], "correction": Fraction()}
        else:
            assert before is not None
            state["n"] += 1
            state["correction"] += between(before, sample, rate, modulus)
        found[start] |= {"last": sample[1], "last_at": sample[0]}
        before = sample
    return found


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
    correction: Fraction = sum((Fraction(part) for part in state.get("rest", ())), Fraction(state["correction"]))
    return correction == wanted["correction"] and all(
        state[part] == wanted[part] for part in ("first", "first_at", "last", "last_at")
    )
