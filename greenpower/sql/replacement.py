"""A device that takes over from another: the link between the two rows, and what the new one takes over.

Nothing here commits. What belongs here: the registry. What does not: the energy of the two meters
(`greenpower.mongo.rollups.exchanges`).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.sql.device import Device, DeviceType
from greenpower.sql.time import now

AnySession = Session | scoped_session[Any]
# What a new device takes over where it has none of its own, and what none looks like.
TAKEN_OVER: Mapping[str, object] = {"name": "", "zone_id": None, "greatest_power": None}


def device_of(session: AnySession, device_id: str) -> Device | None:
    """The row of a device by its id on the wire."""
    return session.scalar(select(Device).where(Device.device_id == device_id))


def replacement_problem(session: AnySession, old: Device, new_id: str) -> str | None:
    """Why a device cannot be replaced by another, None if it can. A meter that came back may be replaced again."""
    if old.replaced_by not in (None, new_id):
        other = device_of(session, old.replaced_by)
        if other is not None and other.replaced_by != old.device_id:
            return f"{old.device_id} was replaced by {old.replaced_by} already. Revoke that exchange first."
    new = device_of(session, new_id)
    if new is not None and new.replaces not in (None, old.device_id, old.replaces) and new.replaced_by is None:
        return f"{new_id} replaced {new.replaces} already. Revoke that exchange first."
    return None


def take_over(session: AnySession, old: Device, new_id: str) -> dict[str, object]:
    """Let a device take over from another, and return what it took, by column. Registers it where it is not yet."""
    new = device_of(session, new_id)
    if new is None:
        new = Device(device_id=new_id, name="", types=[DeviceType(type=row.type) for row in old.types])
        session.add(new)
    elif new.confirmed_at is None:  # a person says what it is
        new.confirmed_at = now()
    took: dict[str, object] = {}
    for name, none in TAKEN_OVER.items():
        if getattr(new, name) == none and getattr(old, name) != none:
            took[name] = getattr(old, name)
            setattr(new, name, took[name])
    new.replaces, old.replaced_by = old.device_id, new_id
    return took


def end_take_over(session: AnySession, old_id: str, new_id: str, took: Mapping[str, object]) -> list[Device]:
    """Undo a take over, as far as nobody has changed it since. Returns the devices that are still registered."""
    old, new = device_of(session, old_id), device_of(session, new_id)
    if old is not None and old.replaced_by == new_id:
        old.replaced_by = None
    if new is not None:
        if new.replaces == old_id:
            new.replaces = None
        for name, value in took.items():
            if getattr(new, name) == value:
                setattr(new, name, TAKEN_OVER[name])
    return [device for device in (old, new) if device is not None]
