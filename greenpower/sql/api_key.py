"""API keys: how machines get tokens. A key is `gp_<id>_<secret>`; only a hash of the secret is kept.

The secret has 256 random bits, so a fast hash does: there is nothing to guess. A key is good for its scopes alone, each
`<area>:<read|write>`; its role follows from them.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from hashlib import sha256
from hmac import compare_digest
from secrets import token_hex
from typing import ClassVar

from sqlalchemy import JSON, ForeignKey, String, false
from sqlalchemy.orm import Mapped, mapped_column, relationship

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.role import RoleName
from greenpower.sql.time import UtcDateTime, now
from greenpower.sql.user import User
from greenpower.sql.zone_role import ZoneRole, role_texts

KEY_PREFIX = "gp_"
KEY = re.compile(r"gp_([0-9a-f]{12})_([0-9a-f]{64})")


class Scope(StrEnum):
    """What a key may be used for."""

    TELEMETRY_READ = "telemetry:read"
    TELEMETRY_WRITE = "telemetry:write"
    DEVICES_READ = "devices:read"
    DEVICES_WRITE = "devices:write"
    ZONES_READ = "service-zones:read"
    ZONES_WRITE = "service-zones:write"
    ENERGY_READ = "energy:read"
    ENERGY_WRITE = "energy:write"
    ALARMS_READ = "alarms:read"
    ALARMS_WRITE = "alarms:write"
    OUTBOUND_READ = "outbound:read"
    OUTBOUND_WRITE = "outbound:write"


class ApiKey(Base):
    """A key. public_id: the part of it that is not secret. restricted: to `zone_roles`; its scopes count there, too.
    restricted_at: when that was last said."""

    __tablename__ = "api_key"

    id: Mapped[int] = mapped_column(primary_key=True)
    public_id: Mapped[str] = mapped_column(String(12), unique=True)
    name: Mapped[str] = mapped_column(String(120))
    secret_hash: Mapped[str] = mapped_column(String(64))
    scopes: Mapped[list[str]] = mapped_column(JSON)
    created_by_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="SET NULL"), index=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    revoked_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    last_used_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    restricted: Mapped[bool] = mapped_column(default=False, server_default=false())
    restricted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    maker: Mapped[User | None] = relationship()
    zone_roles: Mapped[list[ZoneRole]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ZoneRole.zone_id"
    )

    audited: ClassVar = Audited(
        object_type=AuditObject.API_KEY,
        name="name",
        columns=("name", "public_id", "scopes", "expires_at", "revoked_at", "restricted"),
        lists={"zones": lambda id: role_texts(ZoneRole.key_id == id)},
    )

    @property
    def family(self) -> str:
        """The claim `fam` of its tokens."""
        return f"key-{self.public_id}"

    @property
    def role(self) -> RoleName:
        """The lowest role that may do what its scopes say."""
        writes = any(scope.endswith(":write") for scope in self.scopes)
        return RoleName.OPERATOR if writes else RoleName.VIEWER

    def is_good(self) -> bool:
        """Whether it may be used now."""
        return self.revoked_at is None and self.expires_at > now()

    def matches(self, secret: str) -> bool:
        """Whether this is its secret."""
        return compare_digest(self.secret_hash, _hash(secret))


def new_key(name: str, scopes: list[str], expires_at: datetime, created_by_id: int | None) -> tuple[ApiKey, str]:
    """A key, not yet stored, and its text, which is shown once and not stored."""
    public_id, secret = token_hex(6), token_hex(32)
    made = ApiKey(
        public_id=public_id,
        name=name,
        secret_hash=_hash(secret),
        scopes=sorted(scopes),
        expires_at=expires_at,
        created_by_id=created_by_id,
    )
    return made, f"gp_{public_id}_{secret}"


def split_key(text: str) -> tuple[str, str] | None:
    """Public id and secret of a key's text; None if it is not a key."""
    found = KEY.fullmatch(text)
    return None if found is None else (found[1], found[2])


def _hash(secret: str) -> str:
    return sha256(secret.encode()).hexdigest()
