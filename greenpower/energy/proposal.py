"""A first proposal of meter points, made from the devices that are there. Pure.

Each declared `Metered` of a type that a device sends becomes a point, once. A counter that is a part of any point is
not proposed again, so a proposal can be made at any time. What belongs here: which points, and why others not. What
does not: reading devices and what they show (`proposal_reader`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from greenpower.catalog.facts import counters, ledger_tier
from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Field, Kind, Metered
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.amount import per_count
from greenpower.energy.point import Point, PointPart

#: for one proposal: the next one has the further ones
MAX_PROPOSED_POINTS = 500
MAX_NAME_LENGTH = 120

Shown = Callable[[DataType, str, Sequence[str]], Mapping[str, float]]


class WhyNot(StrEnum):
    """Why counters of a device are not proposed."""

    NOT_SHOWN = "not_shown"
    NOTHING_COUNTED = "nothing_counted"
    OTHER_UNIT = "other_unit"


@dataclass(frozen=True, slots=True, kw_only=True)
class MeteredDevice:
    """A device as people know it. zone: its id. types: names of the data types that it sends."""

    device_id: str
    name: str
    zone: int | None
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProposedPoint:
    """A meter point that could be made."""

    name: str
    carrier: Carrier
    role: PointRole
    parts: tuple[PointPart, ...]
    zone: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftOut:
    """Counters of a device that are not proposed."""

    type: str
    device_id: str
    fields: tuple[str, ...]
    why: WhyNot


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Points that could be made. left_out: counters that make none now. in_points: how many others are parts of points
    already. more: there are further ones."""

    points: tuple[ProposedPoint, ...]
    left_out: tuple[LeftOut, ...]
    in_points: int
    more: bool


def propose(devices: Iterable[MeteredDevice], registry: Registry, points: Iterable[Point], shown: Shown) -> Proposal:
    """What could be made of some devices. points: all that there are. shown: the newest values of fields of a device,
    of those that it sends."""
    existing = list(points)
    used = {part.counter for point in existing for part in point.parts}
    names = {point.name for point in existing}
    found: list[ProposedPoint] = []
    left_out: list[LeftOut] = []
    in_points = 0
    for device, datatype, item, is_first in _candidates(devices, registry):
        fields = {field.name: field for field in datatype.fields}
        if any((datatype.name, device.device_id, name) in used for name in item.fields):
            in_points += 1
            continue
        if len(found) == MAX_PROPOSED_POINTS:
            return Proposal(points=tuple(found), left_out=tuple(left_out), in_points=in_points, more=True)
        own = tuple(fields[name] for name in item.fields)
        counting, why = _counting(item, own, shown(datatype, device.device_id, item.fields))
        if not counting:
            left_out.append(LeftOut(type=datatype.name, device_id=device.device_id, fields=item.fields, why=why))
            continue
        name = _name(device, own[0], is_first, names)
        names.add(name)
        parts = tuple(PointPart(type=datatype.name, device_id=device.device_id, field=name) for name in counting)
        found.append(ProposedPoint(name=name, carrier=item.carrier, role=item.role, parts=parts, zone=device.zone))
    return Proposal(points=tuple(found), left_out=tuple(left_out), in_points=in_points, more=False)


def metered(datatype: DataType) -> tuple[Metered, ...]:
    """What stands for meter points of a type, each with its fields; empty for a type whose energy is not kept."""
    names = counters(datatype)
    if not names or ledger_tier(datatype) is None:
        return ()
    given = datatype.metered or (Metered(),)
    return tuple(
        item if item.fields else Metered(fields=names[:1], role=item.role, carrier=item.carrier) for item in given
    )


def _candidates(
    devices: Iterable[MeteredDevice], registry: Registry
) -> Iterator[tuple[MeteredDevice, DataType, Metered, bool]]:
    by_type = {datatype.name: (datatype, metered(datatype)) for datatype in registry}
    for device in sorted(devices, key=lambda device: device.device_id):
        for name in device.types:
            datatype, items = by_type.get(name, (None, ()))
            for number, item in enumerate(items):
                assert datatype is not None
                yield device, datatype, item, number == 0


def _counting(item: Metered, fields: Sequence[Field], values: Mapping[str, float]) -> tuple[tuple[str, ...], WhyNot]:
    """The fields that count something, or why none does. A register that shows 0 has never counted."""
    if any(per_count(field.unit, item.carrier.unit) is None for field in fields):
        return (), WhyNot.OTHER_UNIT
    if not values:
        return (), WhyNot.NOT_SHOWN
    shown = [field for field in fields if field.name in values]
    counting = [field.name for field in shown if values[field.name] or field.kind in (Kind.DAILY, Kind.DELTA)]
    return tuple(counting), WhyNot.NOTHING_COUNTED


def _name(device: MeteredDevice, field: Field, is_first: bool, taken: set[str]) -> str:
    """A name that no point has: that of the device, for further points with the counter, then with a number."""
    name = device.name or device.device_id
    if not is_first or name in taken:
        name = f"{name} ({field.title or field.name})"
    name = name[:MAX_NAME_LENGTH]
    if name not in taken:
        return name
    number = 2
    while (numbered := f"{name[: MAX_NAME_LENGTH - 5]} {number}") in taken:
        number += 1
    return numbered
