"""Devices: the registry. One row per device, whatever data types it sends; a job adds those that ingest has heard.

What belongs here: what people say of a device, and its status. What does not: when it was heard (`devices_seen` in
MongoDB), its readings.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, scoped_session

from greenpower.sql.extensions import Base
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.time import UtcDateTime, now


class DeviceStatus(StrEnum):
    """Whether a device is heard. Unknown: not decided yet."""

    UNKNOWN = "unknown"
    ONLINE = "online"
    OFFLINE = "offline"


class Device(Base):
    """A device. timezone: of its stamps that name none, None for the system's. interval_seconds: between two readings
    expected, None where it is not set. status_since: None while unknown."""

    __tablename__ = "device"

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[str] = mapped_column(String(64), unique=True)
    name: Mapped[str] = mapped_column(String(120), default="")
    timezone: Mapped[str | None] = mapped_column(String(64))
    interval_seconds: Mapped[int | None]
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="SET NULL"), index=True)
    status: Mapped[str] = mapped_column(String(16), default=DeviceStatus.UNKNOWN.value, index=True)
    status_since: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    zone: Mapped[ServiceZone | None] = relationship(lazy="joined")
    types: Mapped[list[DeviceType]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True, order_by="DeviceType.type"
    )


class DeviceType(Base):
    """A data type that a device sends."""

    __tablename__ = "device_type"

    device_id: Mapped[int] = mapped_column(ForeignKey("device.id", ondelete="CASCADE"), primary_key=True)
    type: Mapped[str] = mapped_column(String(64), primary_key=True, index=True)


def devices_of_zone(session: Session | scoped_session[Any], zone_id: int) -> list[str]:
    """The ids (on the wire) of a zone's devices, in order."""
    query = select(Device.device_id).where(Device.zone_id == zone_id).order_by(Device.device_id)
    return list(session.scalars(query))
