"""Outbound targets: programs that readings and buckets are sent to as they come.

What belongs here: the row. What does not: how far each has been served (`greenpower.mongo.outbound`), sending
(`greenpower.outbound`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import ClassVar

from sqlalchemy import JSON, ForeignKey, String, select
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.time import UtcDateTime, now

MAX_OUTBOUND_ADDRESS_LENGTH = 2_000


class OutboundKind(StrEnum):
    """How a target is reached."""

    WEBHOOK = "webhook"
    MQTT = "mqtt"


class OutboundContent(StrEnum):
    """What a target gets."""

    READINGS = "readings"
    BUCKETS = "buckets"


class OutboundTarget(Base):
    """A target. address: with its passwords and tokens; never shown. secret: signs what is sent; shown once, when it is
    made. resolution: of buckets. types, devices, fields: only those; empty for all. zone_id: only what is in that
    service zone, with the zones in it, and only those who may see it see the target; it goes with its zone. begin_at:
    what was written before is not sent. topic_prefix, retain: of MQTT."""

    __tablename__ = "outbound_target"
    # No id is used again: the position of a target that was deleted must not be another's.
    __table_args__ = {"sqlite_autoincrement": True}  # noqa: RUF012

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[str] = mapped_column(String(16))
    address: Mapped[str] = mapped_column(String(MAX_OUTBOUND_ADDRESS_LENGTH))
    secret: Mapped[str] = mapped_column(String(64))
    content: Mapped[str] = mapped_column(String(16))
    resolution: Mapped[str | None] = mapped_column(String(16))
    types: Mapped[list[str]] = mapped_column(JSON)
    devices: Mapped[list[str]] = mapped_column(JSON)
    fields: Mapped[list[str]] = mapped_column(JSON)
    zone_id: Mapped[int | None] = mapped_column(ForeignKey("service_zone.id", ondelete="CASCADE"), index=True)
    topic_prefix: Mapped[str | None] = mapped_column(String(200))
    retain: Mapped[bool] = mapped_column(default=False)
    enabled: Mapped[bool] = mapped_column(default=True)
    begin_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)
    created_by: Mapped[str | None] = mapped_column(String(150))

    audited: ClassVar = Audited(
        object_type=AuditObject.OUTBOUND_TARGET,
        name="name",
        columns=(
            "name", "kind", "content", "resolution", "types", "devices", "fields", "topic_prefix", "retain", "enabled",
            "begin_at",
        ),
        secrets={"address": "address", "secret": "signing secret"},
        values={
            "zone": lambda id: (
                select(ServiceZone.name)
                .join(OutboundTarget, OutboundTarget.zone_id == ServiceZone.id)
                .where(OutboundTarget.id == id)
            )
        },
    )  # fmt: skip
