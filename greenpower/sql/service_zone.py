"""Service zones: groups of devices, such as a site or a feeder. Zones may lie in zones."""

from __future__ import annotations

from datetime import datetime
from typing import Any, ClassVar

from sqlalchemy import ForeignKey, String, select
from sqlalchemy.orm import Mapped, Session, mapped_column, scoped_session

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class ServiceZone(Base):
    """A zone. Its devices refer to it. parent_id: the zone that it lies in."""

    __tablename__ = "service_zone"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    description: Mapped[str] = mapped_column(String(500), default="")
    parent_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    audited: ClassVar = Audited(
        object_type=AuditObject.SERVICE_ZONE, name="name", columns=("name", "description", "parent_id")
    )


def zone_and_below(session: Session | scoped_session[Any], zone_id: int) -> list[int]:
    """The ids of a zone and of all zones in it, at any depth."""
    parents = session.execute(select(ServiceZone.id, ServiceZone.parent_id)).all()
    found = [zone_id]
    for outer in found:  # grows meanwhile
        found += [zone for zone, parent in parents if parent == outer and zone not in found]
    return found
