"""Tariffs and their versions. A version never changes: a mistake is corrected by another one for the same day.

What belongs here: the rows. What does not: what a version says (`greenpower.energy.tariff`).
"""

from __future__ import annotations

from datetime import date, datetime
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class Tariff(Base):
    """A tariff. timezone: of its wall clock. is_default: of points of its carrier that have no other; one at most."""

    __tablename__ = "tariff"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    carrier: Mapped[str] = mapped_column(String(16))
    currency: Mapped[str] = mapped_column(String(3))
    timezone: Mapped[str] = mapped_column(String(64))
    is_default: Mapped[bool] = mapped_column(default=False)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    versions: Mapped[list[StoredTariffVersion]] = relationship(
        lazy="selectin", cascade="all, delete-orphan", passive_deletes=True, order_by="StoredTariffVersion.id"
    )

    audited: ClassVar = Audited(
        object_type=AuditObject.TARIFF,
        name="name",
        columns=("name", "carrier", "currency", "timezone", "is_default"),
        lists={
            "versions": lambda id: (
                select(StoredTariffVersion.id)
                .where(StoredTariffVersion.tariff_id == id, StoredTariffVersion.replaced_at.is_(None))
                .order_by(StoredTariffVersion.id)
            )
        },
    )

    @property
    def current_versions(self) -> list[StoredTariffVersion]:
        """Those that no other has replaced."""
        return [version for version in self.versions if version.replaced_at is None]


class StoredTariffVersion(Base):
    """What a tariff says from a local day on. content: as `greenpower.energy.tariff_content` writes it. replaced_at:
    when another one for the same day, or nothing, took its place; what was closed before keeps it."""

    __tablename__ = "tariff_version"

    id: Mapped[int] = mapped_column(primary_key=True)
    tariff_id: Mapped[int] = mapped_column(ForeignKey("tariff.id", ondelete="CASCADE"), index=True)
    valid_from: Mapped[date]
    content: Mapped[dict[str, Any]] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_by: Mapped[str | None] = mapped_column(String(150))
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    audited: ClassVar = Audited(
        object_type=AuditObject.TARIFF_VERSION,
        name="valid_from",
        columns=("tariff_id", "valid_from", "content", "replaced_at"),
    )
