"""Report schedules: which reports are mailed to whom."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class ReportSchedule(Base):
    """A schedule. period: week or month. zone_id: of this service zone, with which it goes; None: of the whole site.
    channels: ids of notification channels. formats: files that are attached. reported_until: the end of the newest
    period that was put into the outbox; None before the first."""

    __tablename__ = "report_schedule"
    # No id is used again: it is a part of the keys of notices.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    period: Mapped[str] = mapped_column(String(8))
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="CASCADE"), index=True)
    carrier: Mapped[str] = mapped_column(String(16))
    channels: Mapped[list[int]] = mapped_column(JSON)
    formats: Mapped[list[str]] = mapped_column(JSON)
    enabled: Mapped[bool] = mapped_column(default=True)
    reported_until: Mapped[datetime | None] = mapped_column(UtcDateTime)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    created_by: Mapped[str | None] = mapped_column(String(150))

    audited: ClassVar = Audited(
        object_type=AuditObject.REPORT_SCHEDULE,
        name="name",
        columns=("name", "period", "zone_id", "carrier", "channels", "formats", "enabled"),
    )
