"""Devices: the registry. One row per device, whatever data types it sends; a job adds those that ingest has heard.

A device that was only heard is unconfirmed. A row that a person makes is confirmed from the start.

What belongs here: what people say of a device, and its status. What does not: when it was heard (`devices_seen` in
MongoDB), its readings, lists of unconfirmed devices (`greenpower.sql.confirmation`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import Double, ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, scoped_session

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.service_zone import ServiceZone, zone_and_below
from greenpower.sql.time import UtcDateTime, now


class DeviceStatus(StrEnum):
    """Whether a device is heard. Unknown: not decided yet."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


class Device(Base):
    """A device. timezone: of its stamps that name none, None for the system's. interval_seconds: between two readings
    expected. greatest_power: the most in kW (kvar, kVA) that its energy registers can show. Both are None where they
    are not set. status_since: None while unknown. replaces, replaced_by: the device from which this one took over,
    and the one that took over from it, by their ids on the wire: readings outlive registrations. confirmed_at: None
    while it was only heard. confirmed_by: a user, or what confirmed it; None for those of before there was this."""

    __tablename__ = "device"

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    timezone: Mapped[str | None] = mapped_column(String(64))
    interval_seconds: Mapped[int | None]
    greatest_power: Mapped[float | None] = mapped_column(Double)
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="SET NULL"), index=True)
    status: Mapped[str] = mapped_column(String(16), default=DeviceStatus.UNKNOWN.value, index=True)
    status_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    replaces: Mapped[str | None] = mapped_column(String(64))
    replaced_by: Mapped[str | None] = mapped_column(String(64))
    confirmed_at: Mapped[datetime | None] = mapped_column(UtcDateTime, default=now, index=True)
    confirmed_by: Mapped[str | None] = mapped_column(String(150))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    zone: Mapped[ServiceZone | None] = relationship(lazy="joined")
    types: Mapped[list[DeviceType]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True, order_by="DeviceType.type"
    )

    audited: ClassVar = Audited(
        object_type=AuditObject.DEVICE,
        name="device_id",
        columns=(
            "device_id",
            "name",
            "timezone",
            "interval_seconds",
            "greatest_power",
            "zone_id",
            "replaces",
            "replaced_by",
            "confirmed_by",
        ),
        lists={"types": lambda id: select(DeviceType.type).where(DeviceType.device_id == id).order_by(DeviceType.type)},
    )


class DeviceType(Base):
    """A data type that a device sends."""

    __tablename__ = "device_type"

    device_id: Mapped[int] = mapped_column(ForeignKey("device.id", ondelete="CASCADE"), primary_key=True)
    type: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


def devices_of_zone(session: Session | scoped_session[Any], zone_id: int) -> list[str]:
    """The ids (on the wire) of the devices of a zone and of all zones in it, in order."""
    zones = zone_and_below(session, zone_id)
    query = select(Device.device_id).where(Device.zone_id.in_(zones)).order_by(Device.device_id)
    return list(session.scalars(query))
