"""The one place where a request's caller meets what may be seen: which zones, which devices, which names.

`check_caller` says here who asks. From then on the SQL session and `database()` leave out what the caller may not
see, so that a view cannot forget it. What belongs here: asking for that in answers. What does not: how rows and
documents are left out (`greenpower.sql.visible_zones`, `greenpower.mongo.visible`).
"""

from __future__ import annotations

from collections.abc import Iterable

from flask import g
from sqlalchemy import select

from greenpower.sql import Device, MeterPoint
from greenpower.sql.extensions import db
from greenpower.sql.visible_zones import set_visible_zones, visible_zones

DEVICES_KEY = "visible_devices"


def see_zones(zones: Iterable[int] | None) -> None:
    """Say which zones the caller of this request may see; None: everything."""
    g.pop(DEVICES_KEY, None)
    set_visible_zones(None if zones is None else frozenset(zones))


def visible_devices() -> frozenset[str] | None:
    """The ids, on the wire, of the devices that the caller may see; None: all. One query for each request of a
    restricted caller, none for others. Raises SQLAlchemyError."""
    zones = visible_zones()
    if zones is None:
        return None
    if DEVICES_KEY not in g:
        with db.engine.connect() as connection:
            found = connection.scalars(select(Device.device_id).where(Device.zone_id.in_(sorted(zones))))
            g.visible_devices = frozenset(found)
    devices: frozenset[str] = g.visible_devices
    return devices


def is_visible(device: str) -> bool:
    """Whether the caller may see a device."""
    devices = visible_devices()
    return devices is None or device in devices


def shown_device(device: str | None) -> str | None:
    """The id of a device as an answer names it; None where the caller may not see it."""
    return device if device is not None and is_visible(device) else None


def shown_zone(zone: int | None) -> int | None:
    """The id of a zone as an answer names it; None where the caller may not see it."""
    zones = visible_zones()
    return zone if zones is None or zone in zones else None


def shown_points(numbers: Iterable[int | None]) -> frozenset[int]:
    """Those of some meter points that the caller may see. Raises SQLAlchemyError."""
    wanted = {number for number in numbers if number is not None}
    if visible_zones() is None or not wanted:
        return frozenset(wanted)
    return frozenset(db.session.scalars(select(MeterPoint.id).where(MeterPoint.id.in_(wanted))))
