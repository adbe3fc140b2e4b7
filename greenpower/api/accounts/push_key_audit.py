"""What the audit keeps of keys for pushing, for the API and the console."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from greenpower.sql import AuditAction, AuditObject
from greenpower.sql.audit import AuditedChange

AUDITED_KEY_VALUES = ("name", "claims", "devices", "expires_at")


def new_push_key_change(key: Mapping[str, Any]) -> AuditedChange:
    """A key is to be made. key: as it will be stored; its hash is not kept."""
    return AuditedChange.begin(
        action=AuditAction.CREATE,
        object_type=AuditObject.PUSH_KEY,
        object_name=key["name"],
        before=None,
        after={name: key.get(name) for name in AUDITED_KEY_VALUES},
    )


def revoked_push_key_change(key: Mapping[str, Any], at: datetime) -> AuditedChange:
    """A key is to be revoked. key: as it is stored."""
    return AuditedChange.begin(
        action=AuditAction.REVOKE,
        object_type=AuditObject.PUSH_KEY,
        object_name=key["name"],
        before={"revoked_at": None},
        after={"revoked_at": at},
    )
