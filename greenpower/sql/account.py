"""Changing users: which changes end their logins and revoke their API keys; one administrator is always kept. Needs an
app context."""

from __future__ import annotations

from dataclasses import dataclass, field

from sqlalchemy import select

from greenpower.sql.api_key import ApiKey
from greenpower.sql.extensions import db
from greenpower.sql.password import hash_password
from greenpower.sql.role import Role, RoleName
from greenpower.sql.time import now
from greenpower.sql.token_family import TokenFamily, revoke_families
from greenpower.sql.user import User


class LastAdministrator(Exception):
    """The change would leave no user who can manage users."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """What a change of a user ended. families: of tokens, of logins and keys. keys: API keys that are revoked now."""

    families: list[str] = field(default_factory=list)
    keys: list[ApiKey] = field(default_factory=list)


def change_user(
    user: User, *, password: str | None = None, role: RoleName | None = None, active: bool | None = None
) -> Ended:
    """Change the given values. End the user's logins if they would keep rights that the user lost; with `active` false
    the API keys that the user created are revoked, too.

    The caller commits, then mirrors the families that this returns. Raises LastAdministrator.
    """
    demoted = role is not None and role != user.role.name
    if demoted or active is False:
        keep_administrator(user)
    if password is not None:
        user.password_hash = hash_password(password)
    if role is not None and demoted:
        user.role = db.session.scalars(select(Role).where(Role.name == role)).one()
    if active is not None:
        user.active = active
    db.session.flush()
    if active is False:
        return _end(user)
    if password is not None or demoted:
        return Ended(families=revoke_families(TokenFamily.user_id == user.id))
    return Ended()


def delete_user(user: User) -> Ended:
    """Delete a user, and revoke the API keys that the user created. The caller commits, then mirrors the families that
    this returns. Raises LastAdministrator."""
    keep_administrator(user)
    ended = _end(user)
    db.session.delete(user)
    db.session.flush()
    return ended


def _end(user: User) -> Ended:
    """End the logins of a user and revoke the keys that the user created."""
    good = (ApiKey.created_by_id == user.id, ApiKey.revoked_at.is_(None), ApiKey.expires_at > now())
    keys = list(db.session.scalars(select(ApiKey).where(*good).order_by(ApiKey.id)))
    for key in keys:
        key.revoked_at = now()
    families = revoke_families(TokenFamily.user_id == user.id)
    db.session.flush()
    return Ended(families=families + [key.family for key in keys], keys=keys)


def keep_administrator(user: User) -> None:
    """Make sure that there is another administrator, if a user is one. Raises LastAdministrator."""
    if not user.active or user.restricted or user.role.name != RoleName.ADMIN:
        return
    # Locked, so that two administrators cannot remove one another at the same time.
    role = db.session.scalars(select(Role).where(Role.name == RoleName.ADMIN).with_for_update()).one()
    can_manage = (User.role_id == role.id, User.active.is_(True), User.restricted.is_(False))
    others = select(User.id).where(*can_manage, User.id != user.id)
    if db.session.scalar(others.limit(1)) is None:
        raise LastAdministrator(f"{user.username} is the last administrator.")
