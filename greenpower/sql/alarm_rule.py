"""Rules of alarms, and silences: times for which people are not told.

What belongs here: the rows. What does not: what a rule means (`greenpower.alarms`), what became of it
(`greenpower.mongo.alarms`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, String
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now


class AlarmSeverity(StrEnum):
    """How bad it is."""

    INFO = "info"
    WARNING = "warning"
    CRITICAL = "critical"


class StoredAlarmRule(Base):
    """A rule. kind, params: as in `greenpower.alarms.kinds`. type, devices, zone_id, points: what it is about; devices
    by their ids on the wire. None of them refers to a row: a rule whose zone or point is gone says so, and does not
    become one about everything. for_s: seconds for which the limit must be passed. channels: ids of the channels on
    which people are told. since: readings and figures of earlier times are not judged."""

    __tablename__ = "alarm_rule"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(120), unique=True)
    kind: Mapped[str] = mapped_column(String(64))
    params: Mapped[dict[str, Any]] = mapped_column(JSON)
    type: Mapped[str | None] = mapped_column(String(64))
    devices: Mapped[list[str]] = mapped_column(JSON)
    zone_id: Mapped[int | None]
    points: Mapped[list[int]] = mapped_column(JSON)
    for_s: Mapped[int] = mapped_column(default=0)
    severity: Mapped[str] = mapped_column(String(16))
    enabled: Mapped[bool] = mapped_column(default=True, index=True)
    text: Mapped[str] = mapped_column(String(500), default="")
    channels: Mapped[list[int]] = mapped_column(JSON)
    since: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_by: Mapped[str | None] = mapped_column(String(150))
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now, onupdate=now)

    audited: ClassVar = Audited(
        object_type=AuditObject.ALARM_RULE,
        name="name",
        columns=(
            "name",
            "kind",
            "params",
            "type",
            "devices",
            "zone_id",
            "points",
            "for_s",
            "severity",
            "enabled",
            "text",
            "channels",
        ),
    )


class AlarmSilence(Base):
    """A time for which people are not told. rule_id, subject: whose alarms; None for all. subject: `type|device`,
    `point|5` or `zone|2`. ends_at: None until somebody ends it."""

    __tablename__ = "alarm_silence"

    id: Mapped[int] = mapped_column(primary_key=True)
    rule_id: Mapped[int | None]
    subject: Mapped[str | None] = mapped_column(String(140))
    begins_at: Mapped[datetime] = mapped_column(UtcDateTime)
    ends_at: Mapped[datetime | None] = mapped_column(UtcDateTime, index=True)
    reason: Mapped[str] = mapped_column(String(300), default="")
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    created_by: Mapped[str | None] = mapped_column(String(150))

    audited: ClassVar = Audited(
        object_type=AuditObject.ALARM_SILENCE,
        name="reason",
        columns=("rule_id", "subject", "begins_at", "ends_at", "reason"),
    )
