"""Writing the audit. The models of SQL that are audited write their entries themselves (`audit_listener`).

What changes in MongoDB, such as a correction, makes its entry first (`AuditedChange`), keeps it in the write of the
change (`greenpower.mongo.unaudited`), and writes it here before it answers. Where that does not happen, the worker does
it (`greenpower.jobs.missing_entries`).
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import orjson
from sqlalchemy import Connection, insert
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, scoped_session

from greenpower.log import request_id
from greenpower.sql.actor import SYSTEM_ACTOR, Actor, current_actor
from greenpower.sql.audit_entry import MAX_NAME_LENGTH, AuditAction, AuditEntry, AuditObject
from greenpower.sql.time import now

log = logging.getLogger(__name__)

Values = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedChange:
    """A change in MongoDB that the actor is about to make. id: unique. values: the row of its entry, but for the id of
    an object that does not exist yet."""

    id: str
    values: Values

    @classmethod
    def begin(
        cls,
        *,
        action: AuditAction,
        object_type: AuditObject,
        object_name: str,
        before: Values | None,
        after: Values | None,
    ) -> AuditedChange:
        """A change that is made next, with the values before and after it; those that are alike are left out."""
        change_id = uuid4().hex
        values = entry_values(
            action=action, object_type=object_type, object_id="", object_name=object_name, before=before, after=after
        )
        return cls(id=change_id, values={**values, "change_id": change_id})

    @classmethod
    def read(cls, change_id: str, entry: str) -> AuditedChange:
        """As `json` has given it."""
        values = orjson.loads(entry)
        return cls(id=change_id, values={**values, "at": datetime.fromisoformat(values["at"])})

    def json(self) -> str:
        """Its entry as text, for the document that is changed."""
        return orjson.dumps(self.values, default=str).decode()


def note_change(session: Session | scoped_session[Any], change: AuditedChange, object_id: object) -> None:
    """Add the entry of a change that is done, unless it is there, and commit.

    Where the entry cannot be written it goes to the log whole, and the error is raised.
    """
    values = {**change.values, "object_id": str(object_id)}
    is_postgres = session.get_bind().dialect.name == "postgresql"
    once = (postgresql.insert if is_postgres else sqlite.insert)(AuditEntry).values(**values)
    try:
        session.execute(once.on_conflict_do_nothing(index_elements=["change_id"]))
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
