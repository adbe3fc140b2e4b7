"""The history of the status of devices: one row for each change.

A status is no change of a registration: it does not move `updated_at`.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from sqlalchemy import ForeignKey, Index, String, Table, bindparam, insert, select, update
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
    return record_statuses(session, {device_id: (status, at)}) == 1


def record_statuses(
    session: Session | scoped_session[Any], statuses: Mapping[str, tuple[DeviceStatus, datetime]]
) -> int:
    """As `record_status`, for several devices: {id on the wire: (status, since)}. Returns how many changed.

    Its statements are as long as the number of devices: keep that small. The caller commits.
    """
    columns = (Device.id, Device.device_id, Device.status, Device.status_since)
    query = select(*columns).where(Device.device_id.in_(statuses)).order_by(Device.id).with_for_update()
    changes = [
        {"device_id": number, "status": statuses[device_id][0].value, "at": statuses[device_id][1]}
        for number, device_id, status, since in session.execute(query)
        if status != statuses[device_id][0] and (since is None or since < statuses[device_id][1])
    ]
    if not changes:
        return 0
    table = cast(Table, Device.__table__)
    change = (
        update(table)
        .where(table.c.id == bindparam("device_id_"))
        .values(status=bindparam("status_"), status_since=bindparam("at_"), updated_at=table.c.updated_at)
    )
    session.connection().execute(change, [{f"{name}_": value for name, value in row.items()} for row in changes])
    session.execute(insert(DeviceStatusChange), changes)
    session.expire_all()
    return len(changes)
