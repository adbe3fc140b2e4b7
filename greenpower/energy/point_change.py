"""Changing meter points in SQL, by the rules that hold for everyone: over the API and at the console.

What belongs here: what fits together. What does not: bodies (`greenpower.api.energy.points_schema`), options of
commands, tables (`onboarding`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.catalog.registry import Registry
from greenpower.datatype.carrier import Carrier
from greenpower.energy.point import PointError, PointPart, check_parent, check_parts
from greenpower.energy.site import point_of
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.tariff import Tariff

AnySession = Session | scoped_session[Any]


class PointChangeError(PointError):
    """A point cannot be changed so. field: the value that is wrong; the text says why."""

    def __init__(self, field: str, text: str) -> None:
        super().__init__(text)
        self.field = field


class PointChanger:
    """Changes points. unknown: which of some device ids do not exist."""

    def __init__(
        self, session: AnySession, registry: Registry, unknown: Callable[[Sequence[str]], Iterable[str]]
    ) -> None:
        self.session = session
        self.registry = registry
        self.unknown = unknown

    def change(self, point: MeterPoint, values: Mapping[str, Any]) -> None:
        """Change a row, which may be a new one. values: by column; `carrier` and `role` of their vocabularies, `parts`
        as `PointPart`s. Raises PointChangeError for what does not fit together, SQLAlchemyError, PyMongoError."""
        with self.session.no_autoflush:
            for name, model in (("zone_id", ServiceZone), ("tariff_id", Tariff)):
                number = values.get(name)
                if number is not None and self.session.get(model, number) is None:
                    raise PointChangeError(name, f"there is no {model.__tablename__.replace('_', ' ')} {number}")
            carrier = Carrier(values.get("carrier", point.carrier))
            parts: list[PointPart] = values.get("parts", [PointPart.read(part) for part in point.parts])
            self._check_parts(parts, carrier)
            self._check_tree(point, values.get("parent_id", point.parent_id), carrier)
            tariff = self.session.get(Tariff, values.get("tariff_id", point.tariff_id) or 0)
            if tariff is not None and tariff.carrier != carrier:
                text = f"{tariff.name!r} is a tariff of {tariff.carrier}, not of {carrier}"
                raise PointChangeError("tariff_id", text)
        for name, value in values.items():
            if name == "parts":
                value = [part.stored() for part in value]
            setattr(point, name, value.value if name in ("carrier", "role") else value)

    def _check_parts(self, parts: list[PointPart], carrier: Carrier) -> None:
        try:
            check_parts(parts, carrier, self.registry)
        except PointError as error:
            raise PointChangeError("parts", str(error)) from None
        if unknown := sorted(self.unknown(list({part.device_id for part in parts}))):
            raise PointChangeError("parts", "unknown device: " + ", ".join(map(repr, unknown)))

    def _check_tree(self, point: MeterPoint, parent: int | None, carrier: Carrier) -> None:
        others = list(self.session.scalars(select(MeterPoint)))
        points = [point_of(row) for row in others if row is not point]
        if point.id is not None:
            for below in points:
                if below.parent == point.id and below.carrier is not carrier:
                    raise PointChangeError("carrier", f"{below.name!r} lies below it and measures {below.carrier}")
            points.append(point_of(point))
        try:
            check_parent(point.id, parent, carrier, points)
        except PointError as error:
            raise PointChangeError("parent_id", str(error)) from None


def remove_point(session: AnySession, point: MeterPoint) -> None:
    """Delete a point, without a commit. The points below it lie below the one above it then."""
    for below in session.scalars(select(MeterPoint).where(MeterPoint.parent_id == point.id)):
        below.parent_id = point.parent_id
    session.flush()
    session.delete(point)
