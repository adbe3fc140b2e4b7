"""Restricting users and API keys to service zones at the console: the options and texts that both commands have.

What belongs here: zones and roles as people type and read them. What does not: what a restriction means
(`greenpower.sql.restriction`).
"""

from __future__ import annotations

from collections.abc import Sequence

import click
from sqlalchemy import select

from greenpower.config import ConfigError
from greenpower.sql import ApiKey, RoleName, ServiceZone, User
from greenpower.sql.account import LastAdministrator
from greenpower.sql.extensions import db
from greenpower.sql.restriction import RestrictionError, restrict
from greenpower.sql.zone_role import ROLES_IN_ZONES

zone_option = click.option(
    "--zone",
    "zones",
    multiple=True,
    required=True,
    metavar="NAME[=ROLE]",
    help="A service zone, with the zones in it, and the role there; several may be given. Default role: viewer.",
)


def read_zone_roles(texts: Sequence[str]) -> dict[int, RoleName]:
    """The zones and roles that were typed. Raises ConfigError."""
    numbers = {name: number for number, name in db.session.execute(select(ServiceZone.id, ServiceZone.name))}
    roles = [role.value for role in ROLES_IN_ZONES]
    found: dict[int, RoleName] = {}
    for text in texts:
        name, _, role = (text, "", RoleName.VIEWER.value) if text in numbers else text.rpartition("=")
        if name not in numbers:
            raise ConfigError(f"there is no service zone {(name or text)!r}")
        if role not in roles:
            raise ConfigError(f"{role!r} is no role in a zone; choose from {', '.join(roles)}")
        found[numbers[name]] = RoleName(role)
    return found


def restrict_to(owner: User | ApiKey, roles: dict[int, RoleName] | None) -> list[str]:
    """Restrict a user or key, or lift its restriction. Commits. Returns the families of tokens that ended. Raises
    ConfigError."""
    try:
        ended = restrict(owner, roles)
    except (RestrictionError, LastAdministrator) as error:
        db.session.rollback()
        raise ConfigError(str(error)) from None
    db.session.commit()
    return ended


def zones_text(owner: User | ApiKey) -> str:
    """The restriction of a user or key, for people; empty where there is none."""
    if not owner.restricted:
        return ""
    names = {number: name for number, name in db.session.execute(select(ServiceZone.id, ServiceZone.name))}
    return ", ".join(f"{names[row.zone_id]}={row.role}" for row in owner.zone_roles) or "sees nothing"
