"""Filters of queries, applied to readings that are not in MongoDB.

What belongs here: MongoDB's meaning of the filters that readers use, for one reading; its span and its devices. What
does not: reading. A filter with anything else in it raises NotImplementedError: no answer is better than half of one.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from bson import ObjectId

Document = dict[str, Any]
TICK = timedelta(milliseconds=1)
MISSING = object()


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedSpan:
    """What a filter says of devices and times: [begin, end), None where it says nothing."""

    devices: Sequence[str] | None = None
    begin: datetime | None = None
    end: datetime | None = None


def whole_milliseconds(time: datetime) -> datetime:
    """A time as MongoDB gets it."""
    return time.replace(microsecond=time.microsecond // 1000 * 1000)


def asked_span(where: Mapping[str, Any]) -> AskedSpan:
    """The devices and the times that a filter is about."""
    devices: set[str] | None = None
    begin: datetime | None = None
    end: datetime | None = None
    for part in _conjuncts(where):
        condition = part.get("device_id", MISSING)
        if (named := _named(condition)) is not None:
            devices = named if devices is None else devices & named
        since, until = _span(part.get("timestamp", MISSING))
        if since is not None and (begin is None or since > begin):
            begin = since
        if until is not None and (end is None or until < end):
            end = until
        if part.get("$or"):
            hull = _hull([asked_span(one) for one in part["$or"]])
            if hull.devices is not None:
                devices = set(hull.devices) if devices is None else devices & set(hull.devices)
            begin = max((time for time in (begin, hull.begin) if time is not None), default=None)
            end = min((time for time in (end, hull.end) if time is not None), default=None)
    return AskedSpan(devices=None if devices is None else sorted(devices), begin=begin, end=end)


def _hull(spans: Sequence[AskedSpan]) -> AskedSpan:
    """What several spans lie in."""
    devices: set[str] | None = set()
    for span in spans:
        devices = None if devices is None or span.devices is None else devices | set(span.devices)
    begins, ends = [span.begin for span in spans], [span.end for span in spans]
    begin = None if None in begins else min(time for time in begins if time is not None)
    end = None if None in ends else max(time for time in ends if time is not None)
    return AskedSpan(devices=None if devices is None else sorted(devices), begin=begin, end=end)


def _conjuncts(where: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield where
    for part in where.get("$and", ()):
        yield from _conjuncts(part)


def _named(condition: Any) -> set[str] | None:
    if isinstance(condition, str):
        return {condition}
    if isinstance(condition, Mapping) and "$in" in condition:
        return {value for value in condition["$in"] if isinstance(value, str)}
    if isinstance(condition, Mapping) and "$eq" in condition:
        return _named(condition["$eq"])
    return None


def _span(condition: Any) -> tuple[datetime | None, datetime | None]:
    if isinstance(condition, datetime):
        at = whole_milliseconds(condition)
        return at, at + TICK
    if not isinstance(condition, Mapping):
        return None, None
    if condition.keys() == {"$in"} and condition["$in"]:
        times = [whole_milliseconds(time) for time in condition["$in"] if isinstance(time, datetime)]
        return (min(times), max(times) + TICK) if times else (None, None)
    begins = [
        whole_milliseconds(condition[name]) + shift
        for name, shift in (("$gte", 0 * TICK), ("$gt", TICK))
        if name in condition
    ]
    ends = [
        whole_milliseconds(condition[name]) + shift
        for name, shift in (("$lt", 0 * TICK), ("$lte", TICK))
        if name in condition
    ]
    return max(begins, default=None), min(ends, default=None)


def paths_of(where: Mapping[str, Any]) -> set[str]:
    """The paths that a filter looks at."""
    found: set[str] = set()
    for name, condition in where.items():
        if name in ("$and", "$or", "$nor"):
            for part in condition:
                found |= paths_of(part)
        else:
            found.add(name)
    return found


def is_of_span(where: Mapping[str, Any]) -> bool:
    """Whether a filter says nothing but `asked_span`."""
    return all(
        name == "$and"
        or (name == "device_id" and _named(condition) is not None and not _has_more(condition, {"$in"}))
        or (name == "timestamp" and not _has_more(condition, {"$gte", "$gt", "$lt", "$lte"}))
        for part in _conjuncts(where)
        for name, condition in part.items()
    )


def _has_more(condition: Any, operators: set[str]) -> bool:
    return isinstance(condition, Mapping) and not condition.keys() <= operators


def matches(where: Mapping[str, Any], document: Mapping[str, Any]) -> bool:
    """Whether a reading matches a filter. Raises NotImplementedError."""
    for name, condition in where.items():
        if name == "$and":
            fits = all(matches(part, document) for part in condition)
        elif name == "$or":
            fits = any(matches(part, document) for part in condition)
        elif name == "$nor":
            fits = not any(matches(part, document) for part in condition)
        elif name.startswith("$"):
            raise NotImplementedError(f"archived readings are not asked with {name}")
        else:
            fits = _fits(condition, _value(document, name))
        if not fits:
            return False
    return True


def _value(document: Mapping[str, Any], path: str) -> Any:
    value: Any = document
    for name in path.split("."):
        if not isinstance(value, Mapping) or name not in value:
            return MISSING
        value = value[name]
    return value


def _fits(condition: Any, value: Any) -> bool:
    if not isinstance(condition, Mapping):
        return _equal(value, condition)
    return all(_holds(operator, operand, value) for operator, operand in condition.items())


def _holds(operator: str, operand: Any, value: Any) -> bool:
    match operator:
        case "$eq":
            return _equal(value, operand)
        case "$ne":
            return not _equal(value, operand)
        case "$in":
            return any(_equal(value, one) for one in operand)
        case "$exists":
            return (value is not MISSING) == bool(operand)
        case "$type" if operand == "number":
            return isinstance(value, int | float) and not isinstance(value, bool)
        case "$gt" | "$gte" | "$lt" | "$lte" if _comparable(value, operand):
            if isinstance(operand, datetime):
                operand = whole_milliseconds(operand)
            return _compare(operator, value, operand)
        case "$gt" | "$gte" | "$lt" | "$lte":
            return False
    raise NotImplementedError(f"archived readings are not asked with {operator}")


def _compare(operator: str, value: Any, operand: Any) -> bool:
    if operator == "$gt":
        return bool(value > operand)
    if operator == "$gte":
        return bool(value >= operand)
    return bool(value < operand) if operator == "$lt" else bool(value <= operand)


def _equal(value: Any, operand: Any) -> bool:
    if operand is None:
        return value is None or value is MISSING
    if not _comparable(value, operand):
        return False
    return bool(value == (whole_milliseconds(operand) if isinstance(operand, datetime) else operand))


def _comparable(value: Any, operand: Any) -> bool:
    """Whether both are of one of BSON's kinds."""
    if isinstance(value, bool) or isinstance(operand, bool):
        return isinstance(value, bool) and isinstance(operand, bool)
    kinds = ((int, float), (str,), (datetime,), (ObjectId,))
    return any(isinstance(value, kind) and isinstance(operand, kind) for kind in kinds)
