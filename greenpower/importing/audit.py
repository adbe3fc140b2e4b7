"""What the audit keeps of imports. What does not belong here: who acts, which the caller has set."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from sqlalchemy.orm import Session, scoped_session

from greenpower.importing.tally import Tally
from greenpower.sql.audit import note_change
from greenpower.sql.audit_entry import AuditAction, AuditObject


def note_import(
    session: Session | scoped_session[Any], type_name: str, file_name: str, form: str, tally: Tally
) -> None:
    """Write into the audit what an import has stored, also of one that did not come to its end. Raises
    SQLAlchemyError."""
    note_change(
        session,
        action=AuditAction.CREATE,
        object_type=AuditObject.IMPORT,
        object_id=uuid4().hex,
        object_name=type_name,
        after={"file": file_name, "format": form, **tally.counts()},
    )
