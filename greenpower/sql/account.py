"""Changing users: which changes end their logins; one administrator is always kept. Needs an app context."""

from __future__ import annotations

from sqlalchemy import select

from greenpower.sql.extensions import db
from greenpower.sql.password import hash_password
from greenpower.sql.role import Role, RoleName
from greenpower.sql.token_family import TokenFamily, revoke_families
from greenpower.sql.user import User


class LastAdministrator(Exception):
    """The change would leave no user who can manage users."""


def change_user(
    user: User, *, password: str | None = None, role: RoleName | None = None, active: bool | None = None
) -> list[str]:
    """Change the given values. End the user's logins if they would keep rights that the user lost.

    The caller commits, then mirrors the families that this returns. Raises LastAdministrator.
    """
    demoted = role is not None and role != user.role.name
    if (demoted or active is False) and user.active and user.role.name == RoleName.ADMIN:
        _another_administrator(user)
    if password is not None:
        user.password_hash = hash_password(password)
    if role is not None and demoted:
        user.role = db.session.scalars(select(Role).where(Role.name == role)).one()
    if active is not None:
        user.active = active
    db.session.flush()
    if password is not None or demoted or active is False:
        return revoke_families(TokenFamily.user_id == user.id)
    return []


def delete_user(user: User) -> list[str]:
    """Delete a user. The caller commits, then mirrors the families that this returns. Raises LastAdministrator."""
    if user.active and user.role.name == RoleName.ADMIN:
        _another_administrator(user)
    families = revoke_families(TokenFamily.user_id == user.id)
    db.session.delete(user)
    db.session.flush()
    return families


def _another_administrator(user: User) -> None:
    # Locked, so that two administrators cannot remove one another at the same time.
    role = db.session.scalars(select(Role).where(Role.name == RoleName.ADMIN).with_for_update()).one()
    others = select(User.id).where(User.role_id == role.id, User.active.is_(True), User.id != user.id).limit(1)
    if db.session.scalar(others) is None:
        raise LastAdministrator(f"{user.username} is the last administrator.")
