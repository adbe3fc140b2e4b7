"""What the audit keeps of corrections and of decisions on incidents, for the API and the console."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenpower.mongo.client import Document
from greenpower.sql import AuditAction, AuditObject
from greenpower.sql.audit import AuditedChange

AUDITED_CORRECTION_KEYS = ("type", "field", "kind", "begin", "end", "factor", "energy", "method", "reason")


def correction_change(action: AuditAction, correction: Mapping[str, Any], **changed: Any) -> AuditedChange:
    """A correction is to be made, or values of it are to be changed. correction: as it is stored, or will be."""
    before = {name: correction.get(name) for name in AUDITED_CORRECTION_KEYS}
    new = action is AuditAction.CREATE
    return AuditedChange.begin(
        action=action,
        object_type=AuditObject.CORRECTION,
        object_name=correction["device_id"],
        before=None if new else before,
        after={**before, **changed},
    )


def decision_change(incident: Document, status: str, reason: str) -> AuditedChange:
    """An incident is to be decided. incident: as it is stored."""
    return AuditedChange.begin(
        action=AuditAction.DECIDE,
        object_type=AuditObject.INCIDENT,
        object_name=incident["device_id"],
        before={name: incident.get(name) for name in ("status", "reason")},
        after={"status": status, "reason": reason},
    )
