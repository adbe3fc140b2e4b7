"""A device's day as circuits: its readings of all types, and the part that each circuit plays in the site.

What belongs here: from readings and meter points to `Circuit`. What does not: queries (`greenpower.mongo.wiring.day`),
checks.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import cached_property

from pymongo.database import Database

from greenpower.catalog.registry import Registry
from greenpower.datatype import Electrical, PointRole
from greenpower.energy.point import Point
from greenpower.mongo.client import Document
from greenpower.mongo.wiring.day import read_minutes
from greenpower.wiring.circuit import Circuit, Table
from greenpower.wiring.columns import MeasuredField, measured_fields, tables

#: whose power goes one way only
ONE_WAY_ROLES = frozenset({PointRole.LOAD, PointRole.SOLAR, PointRole.GENERATOR})


@dataclass(frozen=True)
class MeasuredSite:
    """What is known of all devices: which fields measure what, and the meter points in force."""

    registry: Registry
    points: Sequence[Point] = ()

    @cached_property
    def fields(self) -> Mapping[str, tuple[MeasuredField, ...]]:
        """The fields that measure something, of each type that has some."""
        found = {datatype.name: measured_fields(datatype) for datatype in self.registry}
        return {name: fields for name, fields in found.items() if fields}

    @cached_property
    def _roles(self) -> Mapping[tuple[str, str], list[tuple[PointRole, int]]]:
        """By device and circuit: the role of each point that it is a part of, and which sign its power has then."""
        found: defaultdict[tuple[str, str], list[tuple[PointRole, int]]] = defaultdict(list)
        for point in self.points:
            for part in point.parts:
                field = next((one for one in self.fields.get(part.type, ()) if one.name == part.field), None)
                if field is not None and part.ends_at is None:
                    sign = -1 if field.key[0] is Electrical.ACTIVE_ENERGY_RETURNED else 1
                    found[part.device_id, field.circuit].append((point.role, sign))
        return found

    def role_of(self, device: str, circuit: str) -> tuple[PointRole | None, int]:
        """The role of a circuit, and the sign that its power must have; 0 where it may have both."""
        roles = self._roles.get((device, circuit), [])
        if not roles:
            return None, 0
        role, sign = roles[0]
        one_way = role in ONE_WAY_ROLES and all(other == (role, sign) for other in roles)
        return role, sign if one_way else 0


def read_circuits(
    db: Database[Document],
    site: MeasuredSite,
    device: str,
    types: Iterable[str],
    begin: datetime,
    end: datetime,
    zone: tzinfo,
) -> list[Circuit]:
    """The circuits of a device in `[begin, end)`, by name. Raises PyMongoError."""
    found: defaultdict[str, list[Table]] = defaultdict(list)
    for name in types:
        fields = site.fields[name]
        readings = db[site.registry[name].collection]
        rows = read_minutes(readings, device, [field.name for field in fields], begin, end)
        for circuit, table in tables(fields, rows).items():
            found[circuit].append(table)
    circuits = []
    for name, several in sorted(found.items()):
        role, expected = site.role_of(device, name)
        circuits.append(Circuit(device, several, name=name, role=role, expected=expected, zone=zone))
    return circuits
