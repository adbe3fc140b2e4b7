"""What the audit keeps of keys for pushing, for the API and the console. Needs the context of an app."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from greenpower.sql import AuditAction, AuditObject
from greenpower.sql.audit import note_change
from greenpower.sql.extensions import db

AUDITED_KEY_VALUES = ("name", "claims", "devices", "expires_at")


def note_push_key(action: AuditAction, key: Mapping[str, Any]) -> None:
    """Write into the audit that a key was made or revoked. key: as it is stored; its hash is not kept."""
    values = {name: key.get(name) for name in AUDITED_KEY_VALUES}
    revoked = action is AuditAction.REVOKE
    note_change(
        db.session,
        action=action,
        object_type=AuditObject.PUSH_KEY,
        object_id=key["_id"],
        object_name=key["name"],
        before={"revoked_at": None} if revoked else None,
        after={"revoked_at": key.get("revoked_at")} if revoked else values,
    )
