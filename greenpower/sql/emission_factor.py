"""Emission factors: how much CO2 a unit of energy stands for, from which day on."""

from __future__ import annotations

from datetime import date, datetime
from typing import ClassVar

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class EmissionFactor(Base):
    """A factor. carrier, role: of the points that it is for. valid_from: a local day of the site. kg_per_unit: kg of
    CO2 for each unit of the carrier, a decimal number. replaced_at: as of tariff versions."""

    __tablename__ = "emission_factor"

    id: Mapped[int] = mapped_column(primary_key=True)
    carrier: Mapped[str] = mapped_column(String(16))
    role: Mapped[str] = mapped_column(String(16))
    valid_from: Mapped[date]
    kg_per_unit: Mapped[str] = mapped_column(String(40))
    source: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_by: Mapped[str | None] = mapped_column(String(150))
    replaced_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    audited: ClassVar = Audited(
        object_type=AuditObject.EMISSION_FACTOR,
        name="valid_from",
        columns=("carrier", "role", "valid_from", "kg_per_unit", "source", "replaced_at"),
    )
