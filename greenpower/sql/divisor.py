"""Divisors: what amounts of meter points can be divided by, such as a floor area or a count of pieces.

What belongs here: the row. What does not: what it is worth in a stretch of time (`greenpower.energy.divisor`).
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


class Divisor(Base):
    """A divisor. kind: as in `greenpower.energy.divisor`. content: of a constant its values by day, of a counter its
    type, device and field."""

    __tablename__ = "divisor"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    unit: Mapped[str] = mapped_column(String(16))
    kind: Mapped[str] = mapped_column(String(16))
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    audited: ClassVar = Audited(
        object_type=AuditObject.DIVISOR, name="name", columns=("name", "unit", "kind", "content", "zone_id")
    )
