"""The history of the status of devices: one row for each change."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ForeignKey, Index, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, scoped_session

from greenpower.sql.device import Device, DeviceStatus
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime


class DeviceStatusChange(Base):
    """The status of a device from a time on, until the next row."""

    __tablename__ = "device_status_change"
    __table_args__ = (Index(None, "device_id", "at"),)

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int] = mapped_column(ForeignKey("device.id", ondelete="CASCADE"))
    status: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)


def record_status(session: Session | scoped_session[Any], device_id: str, status: DeviceStatus, at: datetime) -> bool:
    """Note that a device (its id on the wire) has a status since `at`. False where it had it already, where a later
    change is known or where the device is not registered. The caller commits.
    """
    device = session.scalar(select(Device).where(Device.device_id == device_id).with_for_update(of=Device))
    if device is None or device.status == status or (device.status_since is not None and device.status_since >= at):
        return False
    device.status, device.status_since = status.value, at
    session.add(DeviceStatusChange(device_id=device.id, status=status.value, at=at))
    return True
