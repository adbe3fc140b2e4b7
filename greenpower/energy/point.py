"""Meter points as the energy model sees them: a signed sum of counters, each for a time. Pure.

What belongs here: what parts mean, and whether points fit together. What does not: their rows
(`greenpower.sql.meter_point`), what was counted (`point_reader`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Any

from greenpower.catalog.registry import Registry
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.amount import per_count
from greenpower.measure.slot import QUARTER_SECONDS

MAX_PARTS = 50
MAX_DEPTH = 10


class PointError(ValueError):
    """A meter point cannot be as it is given. The text says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointPart:
    """A counter of a device as a part of a point.

    device_id: on the wire. sign: 1 or -1. begins_at, ends_at: UTC, on quarter-hours, the time for which it counts; None
    for one that has no such end.
    """

    type: str
    device_id: str
    field: str
    sign: int = 1
    begins_at: datetime | None = None
    ends_at: datetime | None = None

    @property
    def counter(self) -> tuple[str, str, str]:
        """What it measures: type, device, field."""
        return self.type, self.device_id, self.field

    def covers(self, begin: datetime) -> bool:
        """Whether it counts from a time on, at least for a quarter-hour."""
        return (self.begins_at is None or self.begins_at <= begin) and (self.ends_at is None or begin < self.ends_at)

    def overlaps(self, other: PointPart) -> bool:
        """Whether both count the same at the same time."""
        if self.counter != other.counter:
            return False
        return not (
            (self.ends_at is not None and other.begins_at is not None and self.ends_at <= other.begins_at)
            or (other.ends_at is not None and self.begins_at is not None and other.ends_at <= self.begins_at)
        )

    def stored(self) -> dict[str, Any]:
        """As it is kept in SQL."""
        return {
            "type": self.type,
            "device_id": self.device_id,
            "field": self.field,
            "sign": self.sign,
            "begins_at": None if self.begins_at is None else _text(self.begins_at),
            "ends_at": None if self.ends_at is None else _text(self.ends_at),
        }

    @classmethod
    def read(cls, stored: Mapping[str, Any]) -> PointPart:
        """From what is kept in SQL."""
        times = {name: stored.get(name) for name in ("begins_at", "ends_at")}
        given = {name: None if text is None else datetime.fromisoformat(text) for name, text in times.items()}
        return cls(
            type=stored["type"],
            device_id=stored["device_id"],
            field=stored["field"],
            sign=stored["sign"],
            begins_at=given["begins_at"],
            ends_at=given["ends_at"],
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A meter point. number: its id. parent, zone, tariff: ids; None where it has none."""

    number: int
    name: str
    carrier: Carrier
    role: PointRole
    parts: tuple[PointPart, ...]
    parent: int | None = None
    zone: int | None = None
    tariff: int | None = None


def check_parts(parts: Sequence[PointPart], carrier: Carrier, registry: Registry) -> None:
    """Raise PointError for parts that cannot be added up to a point of a carrier."""
    if len(parts) > MAX_PARTS:
        raise PointError(f"{len(parts)} parts are more than {MAX_PARTS}")
    for part in parts:
        where = f"{part.type} {part.device_id} {part.field}"
        datatype = registry.get(part.type)
        if datatype is None:
            raise PointError(f"unknown data type {part.type!r}; there are {', '.join(item.name for item in registry)}")
        counters = {field.name: field for field in datatype.fields if field.kind.has_energy}
        field = counters.get(part.field)
        if field is None:
            raise PointError(f"{part.type} has no counter {part.field!r}; it has {', '.join(counters) or 'none'}")
        if per_count(field.unit, carrier.unit) is None:
            raise PointError(f"{where} counts {field.unit}; a point of {carrier} counts {carrier.unit}")
        if part.sign not in (1, -1):
            raise PointError(f"{where}: the sign is 1 or -1, not {part.sign}")
        for time in (part.begins_at, part.ends_at):
            if time is not None and time.timestamp() % QUARTER_SECONDS:
                raise PointError(f"{where}: {_text(time)} is not on a quarter-hour")
        if part.begins_at is not None and part.ends_at is not None and part.begins_at >= part.ends_at:
            raise PointError(f"{where}: it ends before it begins")
    for one, other in combinations(parts, 2):
        if one.overlaps(other):
            raise PointError(f"{one.type} {one.device_id} {one.field} counts twice at the same time")


def check_parent(number: int | None, parent: int | None, carrier: Carrier, points: Iterable[Point]) -> None:
    """Raise PointError for a parent that a point cannot have. number: None for a new point."""
    if parent is None:
        return
    by_number = {point.number: point for point in points}
    above = by_number.get(parent)
    if above is None:
        raise PointError(f"there is no meter point {parent}")
    if above.carrier is not carrier:
        raise PointError(f"{above.name!r} measures {above.carrier}, not {carrier}")
    depth = 1
    while above is not None:
        if above.number == number:
            raise PointError("a point cannot lie below itself")
        depth += 1
        if depth > MAX_DEPTH:
            raise PointError(f"points lie at most {MAX_DEPTH} deep")
        above = None if above.parent is None else by_number.get(above.parent)


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat().replace("+00:00", "Z")
