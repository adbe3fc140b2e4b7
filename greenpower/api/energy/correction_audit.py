"""What the audit keeps of corrections, for the API and the console. Needs the context of an app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenpower.sql import AuditAction, AuditObject
from greenpower.sql.audit import note_change
from greenpower.sql.extensions import db

AUDITED_CORRECTION_KEYS = ("type", "field", "kind", "begin", "end", "factor", "energy", "method", "reason")


def note_correction(action: AuditAction, correction: Mapping[str, Any], **changed: Any) -> None:
    """Write into the audit that a correction was made, or that values of it were changed. correction: as it was
    stored, before a change."""
    before = {name: correction.get(name) for name in AUDITED_CORRECTION_KEYS}
    new = action is AuditAction.CREATE
    note_change(
        db.session,
        action=action,
        object_type=AuditObject.CORRECTION,
        object_id=correction["_id"],
        object_name=correction["device_id"],
        before=None if new else before,
        after={**before, **changed},
    )
