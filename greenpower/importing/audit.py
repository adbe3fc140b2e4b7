"""What the audit keeps of imports. What does not belong here: who acts, which the caller has set."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session, scoped_session

from greenpower.importing.tally import Tally
from greenpower.sql.audit import AuditedChange, note_change
from greenpower.sql.audit_entry import AuditAction, AuditObject


def note_import(
    session: Session | scoped_session[Any], type_name: str, file_name: str, form: str, tally: Tally
) -> None:
    """Write into the audit what an import has stored, also of one that did not come to its end. Raises
    SQLAlchemyError."""
    change = AuditedChange.begin(
        action=AuditAction.CREATE,
        object_type=AuditObject.IMPORT,
        object_name=type_name,
        before=None,
        after={"file": file_name, "format": form, **tally.counts()},
    )
    note_change(session, change, uuid4().hex)
