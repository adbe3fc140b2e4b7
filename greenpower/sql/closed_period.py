"""Closed periods: months whose figures are kept as they were answered when a person closed them.

What belongs here: the row. What does not: what a figure says (`greenpower.energy.closing`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class ClosedPeriod(Base):
    """A closed month. month: its first day, by the clock of `timezone`. zone_id: of the service zone that it was closed
    for, with the zones in it; None for the site. figures: as `greenpower.energy.closing.Figure` writes them, one for
    each meter point. reopened_at: from then on it is not closed any more; the row stays."""

    __tablename__ = "closed_period"

    id: Mapped[int] = mapped_column(primary_key=True)
    month: Mapped[date] = mapped_column(index=True)
    timezone: Mapped[str] = mapped_column(String(64))
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="SET NULL"), index=True)
    scope: Mapped[str] = mapped_column(String(120), default="")
    reason: Mapped[str] = mapped_column(String(500), default="")
    figures: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    closed_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    closed_by: Mapped[str | None] = mapped_column(String(150))
    reopened_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    reopened_by: Mapped[str | None] = mapped_column(String(150))
    reopen_reason: Mapped[str | None] = mapped_column(String(500))

    audited: ClassVar = Audited(
        object_type=AuditObject.CLOSED_PERIOD,
        name="month",
        columns=("month", "timezone", "zone_id", "scope", "reason", "reopened_at", "reopen_reason"),
    )
