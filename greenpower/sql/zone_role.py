"""Roles in service zones: what of the site a restricted user or API key may see and do.

What belongs here: the rows, and what they allow. What does not: changing them (`greenpower.sql.restriction`), which
rows of other tables follow from them (`greenpower.sql.visible_zones`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import CheckConstraint, ColumnElement, Connection, ForeignKey, Select, String, UniqueConstraint, select
from sqlalchemy.orm import Mapped, mapped_column

from greenpower.sql.extensions import Base
from greenpower.sql.role import RoleName
from greenpower.sql.service_zone import ServiceZone

# Administrators manage what belongs to no zone.
ROLES_IN_ZONES = (RoleName.VIEWER, RoleName.OPERATOR)


class ZoneRole(Base):
    """A role of a restricted user, or of a restricted API key, in a service zone and the zones in it. It goes with its
    zone; who has none left sees nothing."""

    __tablename__ = "zone_role"
    __table_args__ = (
        UniqueConstraint("user_id", "zone_id"),
        UniqueConstraint("key_id", "zone_id"),
        CheckConstraint("(user_id IS NULL) <> (key_id IS NULL)", name="one_owner"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int | None] = mapped_column(ForeignKey("user_account.id", ondelete="CASCADE"))
    key_id: Mapped[int | None] = mapped_column(ForeignKey("api_key.id", ondelete="CASCADE"))
    zone_id: Mapped[int] = mapped_column(ForeignKey("service_zone.id", ondelete="CASCADE"), index=True)
    role: Mapped[str] = mapped_column(String(32))


def read_roles(connection: Connection, *, user_id: int | None = None, key_id: int | None = None) -> dict[int, RoleName]:
    """The role of a user, or of a key, in each service zone, those that lie in others included."""
    mine = ZoneRole.user_id == user_id if key_id is None else ZoneRole.key_id == key_id
    given = connection.execute(select(ZoneRole.zone_id, ZoneRole.role).where(mine)).all()
    parents = connection.execute(select(ServiceZone.id, ServiceZone.parent_id)).all() if given else ()
    return spread({zone: RoleName(role) for zone, role in given}, {zone: parent for zone, parent in parents})


def role_texts(mine: ColumnElement[bool]) -> Select[Any]:
    """The query for zones and roles as the audit keeps them: `Hall: viewer`."""
    text = ServiceZone.name + ": " + ZoneRole.role
    return select(text).where(ServiceZone.id == ZoneRole.zone_id, mine).order_by(ServiceZone.name)


def spread(given: Mapping[int, RoleName], parents: Mapping[int, int | None]) -> dict[int, RoleName]:
    """The role in each zone, from those that are given: the highest that is given for it or for a zone around it."""
    found: dict[int, RoleName] = {}
    for zone in parents:
        roles = [given[outer] for outer in _outward(zone, parents) if outer in given]
        if roles:
            found[zone] = max(roles, key=tuple(RoleName).index)
    return found


def _outward(zone: int, parents: Mapping[int, int | None]) -> Iterable[int]:
    """A zone and those around it."""
    seen: list[int] = []
    at: int | None = zone
    while at is not None and at not in seen:
        seen.append(at)
        at = parents.get(at)
    return seen
