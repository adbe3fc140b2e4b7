"""The energy model of a site as it is in SQL: its points, zones and tariffs, and how they lie in one another.

What belongs here: reading all of it at once (there are hundreds, not millions), and what follows from the tree. What
does not: what was counted (`point_reader`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, replace
from decimal import Decimal
from functools import cached_property
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.emission import Factor
from greenpower.energy.point import Point, PointPart
from greenpower.energy.tariff import Direction, TariffVersion
from greenpower.energy.tariff_content import read_version
from greenpower.sql.emission_factor import EmissionFactor
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.tariff import Tariff
from greenpower.sql.visible_zones import seeing_everything, visible_zones

# The roles whose points pay what the supplier asks: for others a tariff holds only where it is given to them.
PAYING = frozenset({PointRole.GRID_IMPORT, PointRole.GRID_EXPORT, PointRole.LOAD})


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteTariff:
    """A tariff with its versions in force, by the day from which each is valid."""

    number: int
    name: str
    carrier: Carrier
    currency: str
    timezone: str
    is_default: bool
    versions: tuple[TariffVersion, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTariff:
    """The tariff of a point. own: given to it, or it is the grid's; one that is inherited has prices only."""

    tariff: SiteTariff
    direction: Direction
    own: bool


@dataclass(frozen=True, kw_only=True)
class EnergySite:
    """A site. zones: the zone that each zone lies in, by its id. whole: the site of which this is the visible part;
    None where it is all of it."""

    points: Mapping[int, Point]
    zones: Mapping[int, int | None]
    zone_names: Mapping[int, str]
    tariffs: Mapping[int, SiteTariff]
    whole: EnergySite | None = None

    def part(self, zones: AbstractSet[int]) -> EnergySite:
        """What of it lies in some zones, as if there were nothing else. A point lies below the next visible one.
        Tariffs are those of the whole site."""
        points: dict[int, Point] = {}
        for point in self.points.values():
            if point.zone in zones:
                above = next((above.number for above in self.above(point) if above.zone in zones), None)
                points[point.number] = replace(point, parent=above)
        return EnergySite(
            points=points,
            zones={zone: outer if outer in zones else None for zone, outer in self.zones.items() if zone in zones},
            zone_names={zone: name for zone, name in self.zone_names.items() if zone in zones},
            tariffs=self.tariffs,
            whole=self,
        )

    @cached_property
    def below(self) -> Mapping[int, Sequence[Point]]:
        """The points right below each point."""
        found: defaultdict[int, list[Point]] = defaultdict(list)
        for point in self.points.values():
            if point.parent is not None:
                found[point.parent].append(point)
        return found

    def zone_and_below(self, zone: int) -> frozenset[int]:
        """A zone and all zones in it."""
        found = [zone]
        for outer in found:  # grows meanwhile
            found += [inner for inner, parent in self.zones.items() if parent == outer and inner not in found]
        return frozenset(found)

    def in_zone(self, zone: int) -> list[Point]:
        """The points of a zone and of all zones in it."""
        zones = self.zone_and_below(zone)
        return [point for point in self.points.values() if point.zone in zones]

    def top(self, points: Iterable[Point]) -> list[Point]:
        """Those of some points that no other of them measures, too."""
        chosen = {point.number: point for point in points}
        return [point for point in chosen.values() if not any(above.number in chosen for above in self.above(point))]

    def above(self, point: Point) -> Iterator[Point]:
        """The points above one, from the next on."""
        seen = {point.number}
        at = point
        while at.parent is not None and (following := self.points.get(at.parent)) is not None:
            if following.number in seen:
                return
            seen.add(following.number)
            yield following
            at = following

    def tariff_of(self, point: Point) -> PointTariff | None:
        """The tariff of a point: its own, else that of the next point above that has one, else the default of its
        carrier."""
        if self.whole is not None:
            return self.whole.tariff_of(self.whole.points[point.number])
        direction = Direction.EXPORT if point.role is PointRole.GRID_EXPORT else Direction.IMPORT
        if (own := self.tariffs.get(point.tariff or 0)) is not None:
            return PointTariff(tariff=own, direction=direction, own=True)
        if point.role not in PAYING:
            return None
        for above in self.above(point):
            if (tariff := self.tariffs.get(above.tariff or 0)) is not None:
                return PointTariff(tariff=tariff, direction=direction, own=False)
        for tariff in self.tariffs.values():
            if tariff.is_default and tariff.carrier is point.carrier:
                at_grid = point.role is not PointRole.LOAD
                return PointTariff(tariff=tariff, direction=direction, own=at_grid)
        return None


def read_site(session: Session | scoped_session[Any]) -> EnergySite:
    """The site, as far as it may be seen. Raises SQLAlchemyError."""
    visible = visible_zones()
    with seeing_everything():
        site = _read_whole(session)
    return site if visible is None else site.part(visible)


def _read_whole(session: Session | scoped_session[Any]) -> EnergySite:
    zones = session.execute(select(ServiceZone.id, ServiceZone.parent_id, ServiceZone.name)).all()
    return EnergySite(
        points={row.id: point_of(row) for row in session.scalars(select(MeterPoint).order_by(MeterPoint.name))},
        zones={zone: parent for zone, parent, _ in zones},
        zone_names={zone: name for zone, _, name in zones},
        tariffs={row.id: tariff_of(row) for row in session.scalars(select(Tariff).order_by(Tariff.id))},
    )


def read_factors(session: Session | scoped_session[Any]) -> list[Factor]:
    """The emission factors in force. Raises SQLAlchemyError."""
    rows = session.scalars(select(EmissionFactor).where(EmissionFactor.replaced_at.is_(None)))
    return [
        Factor(
            carrier=Carrier(row.carrier),
            role=PointRole(row.role),
            valid_from=row.valid_from,
            kg_per_unit=Decimal(row.kg_per_unit),
        )
        for row in rows
    ]


def point_of(row: MeterPoint) -> Point:
    """A point from its row."""
    return Point(
        number=row.id,
        name=row.name,
        carrier=Carrier(row.carrier),
        role=PointRole(row.role),
        parts=tuple(map(PointPart.read, row.parts)),
        parent=row.parent_id,
        zone=row.zone_id,
        tariff=row.tariff_id,
    )


def tariff_of(row: Tariff) -> SiteTariff:
    """A tariff from its row."""
    versions = (
        read_version(
            version.content,
            number=version.id,
            valid_from=version.valid_from,
            currency=row.currency,
            timezone=row.timezone,
        )
        for version in row.current_versions
    )
    return SiteTariff(
        number=row.id,
        name=row.name,
        carrier=Carrier(row.carrier),
        currency=row.currency,
        timezone=row.timezone,
        is_default=row.is_default,
        versions=tuple(sorted(versions, key=lambda version: version.valid_from)),
    )
