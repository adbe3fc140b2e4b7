"""Audit entries of SQL models, written in the transaction of the change whatever code makes it.

A model declares what is audited (`greenpower.sql.audited`). The row is read from the database before a flush and after
it; the difference is the entry. Without an actor nothing is written: that is background work, such as registering
devices that were heard. Statements that change many rows at once pass this by: their callers call
`greenpower.sql.audit.note_change`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, event, inspect, select
from sqlalchemy.orm import Session, UOWTransaction

from greenpower.sql.actor import current_actor
from greenpower.sql.audit import entry_values, write_entry
from greenpower.sql.audit_entry import AuditAction
from greenpower.sql.audited import CHANGED, HIDDEN, Audited
from greenpower.sql.extensions import Base

PENDING = "greenpower.audit"
# The columns that say when a row ended that is kept.
ENDED = ("revoked_at", "replaced_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Pending:
    """A row that a flush changes. before: None for a new one."""

    row: Base
    action: AuditAction
    before: dict[str, Any] | None


@event.listens_for(Session, "before_flush")
def _read_before(session: Session, _context: UOWTransaction, _instances: Any) -> None:
    session.info.pop(PENDING, None)  # of a flush that failed
    if current_actor() is None:
        return
    found: list[_Pending] = []
    for rows, action in (
        (session.new, AuditAction.CREATE),
        (session.dirty, AuditAction.CHANGE),
        (session.deleted, AuditAction.DELETE),
    ):
        for row in rows:
            audited = audited_of(row)
            if audited is None or (audited.only_new and action is not AuditAction.CREATE):
                continue
            if action is AuditAction.CHANGE and not session.is_modified(row):
                continue
            before = None if action is AuditAction.CREATE else _snapshot(session.connection(), row, audited)
            found.append(_Pending(row=row, action=action, before=before))
    session.info[PENDING] = found


@event.listens_for(Session, "after_flush")
def _write_after(session: Session, _context: UOWTransaction) -> None:
    pending: list[_Pending] = session.info.pop(PENDING, [])
    for item in pending:
        audited = audited_of(item.row)
        assert audited is not None
        deleted = item.action is AuditAction.DELETE
        after = None if deleted else _snapshot(session.connection(), item.row, audited)
        if item.before == after:
            continue
        values = after or item.before or {}
        entry = entry_values(
            action=_action(item.action, item.before, after),
            object_type=audited.object_type,
            object_id=_id(item.row),
            object_name=str(values.get(audited.name, "")),
            before=item.before,
            after=after,
        )
        _hide(entry, audited)
        write_entry(session.connection(), entry)


def audited_of(row: object) -> Audited | None:
    """What of a row is audited; None for a model that is not."""
    found = getattr(type(row), "audited", None)
    return found if isinstance(found, Audited) else None


def _action(action: AuditAction, before: dict[str, Any] | None, after: dict[str, Any] | None) -> AuditAction:
    """What ends and is kept is revoked, not just changed."""
    for name in ENDED:
        if before is not None and after is not None and before.get(name) is None and after.get(name) is not None:
            return AuditAction.REVOKE
    return action


def _snapshot(connection: Connection, row: Base, audited: Audited) -> dict[str, Any]:
    """The audited values of a row as the database has them in this transaction; empty where there is no such row."""
    table, number = inspect(type(row)).local_table, _id(row)
    columns = [table.c[name] for name in (*audited.columns, *audited.secrets)]
    found = connection.execute(select(*columns).where(table.c.id == number)).mappings().one_or_none()
    if found is None:
        return {}
    values = dict(found)
    values |= {label: connection.scalar(query(number)) for label, query in audited.values.items()}
    return values | {label: list(connection.scalars(query(number))) for label, query in audited.lists.items()}


def _hide(entry: dict[str, Any], audited: Audited) -> None:
    """Take the values of secrets out of an entry."""
    for column, label in audited.secrets.items():
        for side in ("before", "after"):
            if entry[side] is not None and column in entry[side]:
                del entry[side][column]
                entry[side][label] = CHANGED if side == "after" and entry["before"] is not None else HIDDEN


def _id(row: Base) -> int:
    number: int = row.id  # type: ignore[attr-defined]
    return number
