"""Writing the audit. The models of SQL that are audited write their entries themselves (`audit_listener`); what changes
elsewhere, such as a correction in MongoDB, calls `note_change` before it answers.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Connection, insert
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from greenpower.log import request_id
from greenpower.sql.actor import SYSTEM_ACTOR, Actor, current_actor
from greenpower.sql.audit_entry import MAX_NAME_LENGTH, AuditAction, AuditEntry, AuditObject
from greenpower.sql.time import now

log = logging.getLogger(__name__)

Values = Mapping[str, Any]


def note_change(
    session: Session | scoped_session[Any],
    *,
    action: AuditAction,
    object_type: AuditObject,
    object_id: object,
    object_name: str = "",
    before: Values | None = None,
    after: Values | None = None,
) -> None:
    """Add an entry for a change that the actor has made, and commit. before, after: the values; those that are alike
    are left out.

    The change is done already: where the entry cannot be written it goes to the log whole, and the error is raised.
    """
    values = entry_values(
        action=action,
        object_type=object_type,
        object_id=object_id,
        object_name=object_name,
        before=before,
        after=after,
    )
    try:
        session.execute(insert(AuditEntry).values(**values))
        session.commit()
    except SQLAlchemyError:
        log.error("an audit entry is not in the database: %s", orjson.dumps(values, default=str).decode())
        raise


def write_entry(connection: Connection, values: Values) -> None:
    """Add an entry in the transaction of a connection."""
    connection.execute(insert(AuditEntry).values(**values))


def entry_values(
    *,
    action: AuditAction,
    object_type: AuditObject,
    object_id: object,
    object_name: str = "",
    before: Values | None = None,
    after: Values | None = None,
    actor: Actor | None = None,
) -> dict[str, Any]:
    """The row of an entry. actor: None for who acts now, else the system."""
    who = actor or current_actor() or SYSTEM_ACTOR
    if before is not None and after is not None:
        names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
        before = {name: before.get(name) for name in names}
        after = {name: after.get(name) for name in names}
    return {
        "at": now(),
        "actor_kind": who.kind.value,
        "actor": who.name[:MAX_NAME_LENGTH],
        "address": who.address,
        "request_id": request_id.get() or None,
        "action": action.value,
        "object_type": object_type.value,
        "object_id": str(object_id),
        "object_name": object_name[:MAX_NAME_LENGTH],
        "before": None if before is None else plain(before),
        "after": None if after is None else plain(after),
    }


def plain(value: Any) -> Any:
    """A value as JSON has it: times as text in UTC, ids as text, numbers that are none as text."""
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)
