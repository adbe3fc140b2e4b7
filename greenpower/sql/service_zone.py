"""Service zones: groups of devices, such as a site or a feeder."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class ServiceZone(Base):
    """A zone. Its devices refer to it."""

    __tablename__ = "service_zone"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    description: Mapped[str] = mapped_column(String(500), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
