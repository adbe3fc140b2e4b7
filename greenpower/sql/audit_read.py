"""Reading the audit: which entries, and all of them in order, for the API and the console."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Engine, Select, select
from sqlalchemy.orm import Session

from greenpower.sql.audit_entry import AuditEntry

AUDIT_COLUMNS = (
    "id",
    "at",
    "actor_kind",
    "actor",
    "address",
    "request_id",
    "action",
    "object_type",
    "object_id",
    "object_name",
    "before",
    "after",
)
AUDIT_BATCH_ROWS = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFilter:
    """Which entries; None for any. start_time, end_time: aware, inclusive."""

    actor: str | None = None
    action: str | None = None
    object_type: str | None = None
    object_id: str | None = None
    object_name: str | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None


def matching(wanted: AuditFilter) -> Select[AuditEntry]:
    """The entries of a filter, in no order."""
    statement = select(AuditEntry)
    for name in ("actor", "action", "object_type", "object_id", "object_name"):
        if (value := getattr(wanted, name)) is not None:
            statement = statement.where(getattr(AuditEntry, name) == value)
    if wanted.start_time is not None:
        statement = statement.where(AuditEntry.at >= wanted.start_time)
    if wanted.end_time is not None:
        statement = statement.where(AuditEntry.at <= wanted.end_time)
    return statement


def audit_batches(engine: Engine, statement: Select[AuditEntry]) -> Iterator[list[dict[str, Any]]]:
    """All entries of a statement, oldest first, as dictionaries of `AUDIT_COLUMNS`. Each batch is a query of its own,
    so a slow reader holds no transaction."""
    last = 0
    while True:
        with Session(engine) as session:
            query = statement.where(AuditEntry.id > last).order_by(AuditEntry.id).limit(AUDIT_BATCH_ROWS)
            batch = [{name: getattr(entry, name) for name in AUDIT_COLUMNS} for entry in session.scalars(query)]
        if not batch:
            return
        yield batch
        last = batch[-1]["id"]
