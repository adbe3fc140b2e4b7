"""Meter points: what a person calls a meter, whichever devices measured it.

What belongs here: the row. What does not: what its parts mean, whether they can be added up
(`greenpower.energy.point`), what was counted (`greenpower.energy.point_reader`).
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class MeterPoint(Base):
    """A meter point: a signed sum of counters of devices. carrier, role: as in `greenpower.datatype.carrier`. parts: as
    `greenpower.energy.point.PointPart` writes them; devices by their ids on the wire, since readings outlive
    registrations. parent_id: the point that measures what this one measures, and more. tariff_id: None for that of the
    next point above that has one. proposed: made from the devices that are there, and changed by nobody since."""

    __tablename__ = "meter_point"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    description: Mapped[str] = mapped_column(String(500), default="")
    carrier: Mapped[str] = mapped_column(String(16))
    role: Mapped[str] = mapped_column(String(16))
    parts: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("meter_point.id", ondelete="SET NULL"), index=True)
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="SET NULL"), index=True)
    tariff_id: Mapped[int | None] = mapped_column(ForeignKey("tariff.id", ondelete="SET NULL"), index=True)
    proposed: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    audited: ClassVar = Audited(
        object_type=AuditObject.METER_POINT,
        name="name",
        columns=("name", "description", "carrier", "role", "parts", "parent_id", "zone_id", "tariff_id"),
    )
