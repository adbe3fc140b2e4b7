"""The audit: who changed what, when, from where. Entries are only ever added: the database refuses to change or delete
one (migration 0006).

What belongs here: the row. What does not: writing entries (`greenpower.sql.audit`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now

MAX_NAME_LENGTH = 160


class AuditAction(StrEnum):
    """What was done."""

    CREATE = "create"
    CHANGE = "change"
    DELETE = "delete"
    REVOKE = "revoke"
    DECIDE = "decide"
    MOVE = "move"


class AuditObject(StrEnum):
    """What it was done to."""

    USER = "user"
    API_KEY = "api_key"
    DEVICE = "device"
    SERVICE_ZONE = "service_zone"
    COMMAND = "command"
    CORRECTION = "correction"
    INCIDENT = "incident"
    METER_SWAP = "meter_swap"
    METER_EXCHANGE = "meter_exchange"
    METER_POINT = "meter_point"
    TARIFF = "tariff"
    TARIFF_VERSION = "tariff_version"
    EMISSION_FACTOR = "emission_factor"
    CLOSED_PERIOD = "closed_period"
    DIVISOR = "divisor"
    PUSH_KEY = "push_key"
    IMPORT = "import"
    NOTIFICATION_CHANNEL = "notification_channel"
    ALARM_RULE = "alarm_rule"
    ALARM_SILENCE = "alarm_silence"
    ALARM = "alarm"
    WIRING_FINDING = "wiring_finding"
    REPORT_SCHEDULE = "report_schedule"
    OUTBOUND_TARGET = "outbound_target"


class AuditEntry(Base):
    """A change. actor, actor_kind, address: who made it, and from where. object_id: the id that the API uses.
    object_name: what people call it; of what belongs to a device, the id on the wire. before, after: the values that
    changed; None before there was one, and after it is gone. Secrets are never in it, only that they changed.
    change_id: of a change in MongoDB, whose entry is written later than the change, and once."""

    __tablename__ = "audit_entry"
    __table_args__ = (
        Index(None, "object_type", "object_id", "id"),
        Index(None, "actor", "id"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, index=True)
    actor_kind: Mapped[str] = mapped_column(String(16))
    actor: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH))
    address: Mapped[str | None] = mapped_column(String(64))
    request_id: Mapped[str | None] = mapped_column(String(64))
    action: Mapped[str] = mapped_column(String(16))
    object_type: Mapped[str] = mapped_column(String(32))
    object_id: Mapped[str] = mapped_column(String(64))
    object_name: Mapped[str] = mapped_column(String(MAX_NAME_LENGTH), default="")
    before: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    after: Mapped[dict[str, Any] | None] = mapped_column(JSON(none_as_null=True))
    change_id: Mapped[str | None] = mapped_column(String(32), index=True, unique=True)
