"""Making devices, service zones and meter points from a table, all of it or nothing; it can be done again.

A point that is there is changed only as far as the table says otherwise: counters are added, none is taken away. What
belongs here: what a row means in a site. What does not: reading the table (`point_table`), proposals without one
(`proposal`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType, Metered
from greenpower.datatype.carrier import Carrier
from greenpower.energy.amount import per_count
from greenpower.energy.point import PointError, PointPart, check_parent, check_parts
from greenpower.energy.point_table import TableError, TableProblem, TableRow
from greenpower.energy.proposal import metered
from greenpower.energy.site import point_of
from greenpower.sql.actor import current_actor
from greenpower.sql.device import Device, DeviceType
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.time import now


@dataclass(slots=True, kw_only=True)
class Onboarded:
    """What a table has made and changed, by name; devices by the id that they send. unchanged: points that were as the
    table says."""

    zones: list[str] = field(default_factory=list)
    devices_made: list[str] = field(default_factory=list)
    devices_changed: list[str] = field(default_factory=list)
    points_made: list[str] = field(default_factory=list)
    points_changed: list[str] = field(default_factory=list)
    unchanged: int = 0


@dataclass(slots=True, kw_only=True)
class _Wanted:
    """A point as the rows of a table want it. Each value with the line that says so."""

    line: int
    parts: list[PointPart] = field(default_factory=list)
    given: dict[str, tuple[Any, int]] = field(default_factory=dict)
    guessed: dict[str, Any] = field(default_factory=dict)


class Onboarding:
    """The work on one table. Its methods raise SQLAlchemyError."""

    def __init__(self, session: Session | scoped_session[Any], registry: Registry) -> None:
        self.session = session
        self.registry = registry
        self.done = Onboarded()
        self._problems: list[TableProblem] = []
        self._zones = {row.name: row for row in session.scalars(select(ServiceZone))}
        self._devices = {row.device_id: row for row in session.scalars(select(Device))}
        self._points = {row.name: row for row in session.scalars(select(MeterPoint))}
        self._wanted: dict[str, _Wanted] = {}
        self._touched: dict[str, Device] = {}

    @property
    def devices(self) -> list[Device]:
        """The devices that were made or changed."""
        return list(self._touched.values())

    def run(self, rows: Iterable[TableRow], *, dry: bool) -> Onboarded:
        """Do what a table says, and commit; or with `dry` take all back. Raises TableError: then nothing was done."""
        try:
            with self.session.no_autoflush:
                for row in rows:
                    self._take(row)
                self._check()
                for name, wanted in self._wanted.items():
                    self._make(name, wanted)
                self.session.flush()
                self._lay_below()
                self._check()
            if dry:
                self.session.rollback()
            else:
                self.session.commit()
        except BaseException:
            self.session.rollback()
            raise
        return self.done

    def _check(self) -> None:
        if self._problems:
            raise TableError(self._problems)

    def _problem(self, line: int, column: str, text: str) -> None:
        self._problems.append(TableProblem(line=line, column=column, text=text))

    def _take(self, row: TableRow) -> None:
        """Note what a row says of its point, and change its device."""
        known = self._devices.get(row.device)
        datatype = self._datatype(row, known)
        if datatype is None:
            return
        found = self._counters(row, datatype)
        if found is None:
            return
        zone = self._zone(row.zone) if row.zone else None
        device = self._device(row, known, datatype, zone)
        name = row.point or device.name or device.device_id
        wanted = self._wanted.setdefault(name, _Wanted(line=row.line))
        wanted.parts += [PointPart(type=datatype.name, device_id=row.device, field=counter) for counter in found.fields]
        wanted.guessed.setdefault("role", found.role)
        wanted.guessed.setdefault("carrier", found.carrier)
        for column, value in (("role", row.role), ("carrier", row.carrier), ("zone", zone), ("below", row.below)):
            if not value:
                continue
            before, line = wanted.given.setdefault(column, (value, row.line))
            if before != value:
                self._problem(row.line, column, f"line {line} says otherwise of the point {name!r}")

    def _datatype(self, row: TableRow, known: Device | None) -> DataType | None:
        if row.type:
            datatype = self.registry.get(row.type)
            if datatype is None or not metered(datatype):
                names = ", ".join(item.name for item in self.registry if metered(item))
                self._problem(row.line, "type", f"{row.type!r} is no data type with counters; there are {names}")
                return None
            return datatype
        if known is None:
            self._problem(row.line, "device", f"unknown device {row.device!r}; a new one needs its data type")
            return None
        types = [found for item in known.types if (found := self.registry.get(item.type)) and metered(found)]
        if len(types) != 1:
            names = ", ".join(item.name for item in types)
            text = f"{row.device} sends several: name one of {names}" if types else f"{row.device} sends no counters"
            self._problem(row.line, "type", text)
            return None
        return types[0]

    def _counters(self, row: TableRow, datatype: DataType) -> Metered | None:
        """The counters that a row names, with the role and the carrier that they mostly have."""
        declared = metered(datatype)
        counters = {item.name: item for item in datatype.fields if item.kind.has_energy}
        if row.field and row.field not in counters:
            self._problem(row.line, "field", f"{datatype.name} has no counter {row.field!r}: {', '.join(counters)}")
            return None
        if row.field:
            own = next((item for item in declared if row.field in item.fields), Metered())
            found = Metered(fields=(row.field,), role=own.role, carrier=own.carrier)
        else:
            found = next((item for item in declared if row.role in (None, item.role)), declared[0])
        unit = counters[found.fields[0]].unit
        carrier = row.carrier or found.carrier
        if per_count(unit, carrier.unit) is None:
            fitting = [item.value for item in Carrier if per_count(unit, item.unit) is not None]
            text = f"{found.fields[0]} counts {unit}: " + (
                f"name one of {', '.join(fitting)}" if fitting else "no energy"
            )
            self._problem(row.line, "carrier", text)
            return None
        return Metered(fields=found.fields, role=found.role, carrier=carrier)

    def _zone(self, name: str) -> ServiceZone:
        if name not in self._zones:
            self._zones[name] = ServiceZone(name=name)
            self.session.add(self._zones[name])
            self.session.flush()
            self.done.zones.append(name)
        return self._zones[name]

    def _device(self, row: TableRow, device: Device | None, datatype: DataType, zone: ServiceZone | None) -> Device:
        actor = current_actor()
        by = None if actor is None else actor.name
        if device is None:
            device = Device(device_id=row.device, name="", types=[DeviceType(type=datatype.name)], confirmed_by=by)
            self.session.add(device)
            self._devices[row.device] = self._touched[row.device] = device
            self.done.devices_made.append(row.device)
        changes: dict[str, Any] = {}
        if row.name and row.name != device.name:
            changes["name"] = row.name
        if zone is not None and zone.id != device.zone_id:
            changes["zone_id"] = zone.id
        if row.device not in self._touched and device.confirmed_at is None:
            changes |= {"confirmed_at": now(), "confirmed_by": by}
        for name, value in changes.items():
            setattr(device, name, value)
        if changes and row.device not in self._touched:
            self._touched[row.device] = device
            self.done.devices_changed.append(row.device)
        return device

    def _make(self, name: str, wanted: _Wanted) -> None:
        """Make a point, or change the one that is there."""
        given = {column: value for column, (value, _) in wanted.given.items()}
        point = self._points.get(name)
        is_new = point is None
        if point is None:
            guessed = {column: value.value for column, value in wanted.guessed.items()}
            point = self._points[name] = MeterPoint(name=name, parts=[], proposed=False, **guessed)
            self.session.add(point)
        before = _state(point)
        if "role" in given:
            point.role = given["role"].value
        if "carrier" in given and is_new:
            point.carrier = given["carrier"].value
        elif "carrier" in given and point.carrier != given["carrier"]:
            self._problem(wanted.given["carrier"][1], "carrier", f"{name!r} is there, and measures {point.carrier}")
        if "zone" in given:
            point.zone_id = given["zone"].id
        parts = [PointPart.read(part) for part in point.parts]
        counted = {part.counter for part in parts}
        added = [part for part in wanted.parts if part.counter not in counted]
        try:
            check_parts([*parts, *added], Carrier(point.carrier), self.registry)
        except PointError as error:
            self._problem(wanted.line, "point", f"{name!r}: {error}")
        if added:
            point.parts = [part.stored() for part in (*parts, *added)]
        if is_new:
            self.done.points_made.append(name)
        elif _state(point) != before:
            point.proposed = False
            self.done.points_changed.append(name)

    def _lay_below(self) -> None:
        """Lay points below others, when all are there."""
        for name, wanted in self._wanted.items():
            above_name, line = wanted.given.get("below", ("", 0))
            if not above_name:
                continue
            above, point = self._points.get(above_name), self._points[name]
            if above is None:
                self._problem(line, "below", f"there is no meter point {above_name!r}")
            elif point.parent_id != above.id:
                point.parent_id = above.id
                if name not in self.done.points_made and name not in self.done.points_changed:
                    point.proposed = False
                    self.done.points_changed.append(name)
        points = [point_of(row) for row in self._points.values()]
        for name, wanted in self._wanted.items():
            _, line = wanted.given.get("below", ("", wanted.line))
            row = self._points[name]
            try:
                check_parent(row.id, row.parent_id, Carrier(row.carrier), points)
            except PointError as error:
                self._problem(line, "below", f"{name!r}: {error}")
        self.done.unchanged = len(self._wanted) - len(self.done.points_made) - len(self.done.points_changed)


def _state(point: MeterPoint) -> Mapping[str, Any]:
    """What a table can change."""
    return {name: getattr(point, name) for name in ("role", "carrier", "zone_id", "parts")}
