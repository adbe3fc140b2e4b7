"""Users: who may log in."""

from __future__ import annotations

import re
from datetime import datetime
from typing import ClassVar

from sqlalchemy import ForeignKey, String, false, select
from sqlalchemy.orm import Mapped, mapped_column, relationship

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base, db
from greenpower.sql.role import Role
from greenpower.sql.time import UtcDateTime, now
from greenpower.sql.zone_role import ZoneRole, role_texts

# No control characters, blanks or quotes: a name goes into logs, and into databases that cannot store NUL.
USERNAME = re.compile(r"[\w.@+-]{1,150}")
# For path parameters: the largest integer of the databases.
LARGEST_ID = 999_999_999


class User(Base):
    """A person or program with a password. The password itself is not stored. restricted: to `zone_roles`, which count
    instead of the role; with none of them the user sees nothing. restricted_at: when that was last said."""

    __tablename__ = "user_account"

    id: Mapped[int] = mapped_column(primary_key=True)
    username: Mapped[str] = mapped_column(String(150), unique=True)
    password_hash: Mapped[str] = mapped_column(String(200))
    role_id: Mapped[int] = mapped_column(ForeignKey("role.id", ondelete="RESTRICT"), index=True)
    active: Mapped[bool] = mapped_column(default=True)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    last_login_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    restricted: Mapped[bool] = mapped_column(default=False, server_default=false())
    restricted_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    role: Mapped[Role] = relationship(lazy="joined")
    zone_roles: Mapped[list[ZoneRole]] = relationship(
        cascade="all, delete-orphan", passive_deletes=True, order_by="ZoneRole.zone_id"
    )

    audited: ClassVar = Audited(
        object_type=AuditObject.USER,
        name="username",
        columns=("username", "active", "restricted"),
        secrets={"password_hash": "password"},
        values={"role": lambda id: select(Role.name).join(User, User.role_id == Role.id).where(User.id == id)},
        lists={"zones": lambda id: role_texts(ZoneRole.user_id == id)},
    )


def find_user(username: str) -> User | None:
    """The user with this name, if there is one. Needs an app context."""
    if not USERNAME.fullmatch(username):
        return None
    return db.session.scalar(select(User).where(User.username == username))
