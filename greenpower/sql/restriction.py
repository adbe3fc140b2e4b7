"""Restricting users and API keys to service zones, and which devices each of them may see.

What belongs here: changing restrictions; the devices of all who are restricted, as the realtime gateway needs them;
that a change of them was made. What does not: the copy of it in Redis (`greenpower.bus.visibility`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from typing import Any

from sqlalchemy import event, inspect, select
from sqlalchemy.orm import ORMExecuteState, Session, UOWTransaction, scoped_session

from greenpower.sql.account import keep_administrator
from greenpower.sql.api_key import ApiKey
from greenpower.sql.device import Device
from greenpower.sql.extensions import db
from greenpower.sql.role import RoleName
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.time import now
from greenpower.sql.token_family import TokenFamily, revoke_families
from greenpower.sql.user import User
from greenpower.sql.zone_role import ROLES_IN_ZONES, ZoneRole, spread

AnySession = Session | scoped_session[Any]
CHANGED = "greenpower.visibility"
# The columns that say who sees which devices.
DECIDING: Mapping[type[Any], tuple[str, ...]] = {
    Device: ("zone_id", "device_id"),
    ServiceZone: ("parent_id",),
    ZoneRole: ("zone_id", "role"),
    User: ("restricted", "restricted_at"),
    ApiKey: ("restricted", "restricted_at", "revoked_at"),
}


class RestrictionError(Exception):
    """A restriction that cannot be. The text is for people."""


def restrict(owner: User | ApiKey, roles: Mapping[int, RoleName] | None) -> list[str]:
    """Restrict a user or key to service zones, with a role in each. None: lift its restriction.

    Returns the families of tokens to be mirrored as revoked: a user who was not restricted before, or is no longer, has
    to log in again. The caller commits. Needs an app context. Raises RestrictionError, LastAdministrator.
    """
    before = owner.restricted
    wanted = dict(roles or {})
    check_roles(wanted)
    if isinstance(owner, User) and roles is not None and not before:
        keep_administrator(owner)
    there = {row.zone_id: row for row in owner.zone_roles}
    for zone in there.keys() - wanted.keys():
        owner.zone_roles.remove(there[zone])
    for zone, role in wanted.items():
        if zone in there:
            there[zone].role = role.value
        else:
            owner.zone_roles.append(ZoneRole(zone_id=zone, role=role.value))
    owner.restricted = roles is not None
    owner.restricted_at = None if roles is None else now()  # a change of roles alone is one of this row, for the audit
    db.session.flush()
    if isinstance(owner, User) and before != owner.restricted:
        return revoke_families(TokenFamily.user_id == owner.id)
    return []


def check_roles(roles: Mapping[int, RoleName]) -> None:
    """Check roles in zones. Raises RestrictionError."""
    known = set(db.session.scalars(select(ServiceZone.id).where(ServiceZone.id.in_(roles))))
    if unknown := sorted(roles.keys() - known):
        raise RestrictionError(f"There is no service zone {', '.join(map(str, unknown))}.")
    if any(role not in ROLES_IN_ZONES for role in roles.values()):
        raise RestrictionError("A role in a zone is viewer or operator: administrators are for the whole site.")


def devices_of_all(session: AnySession) -> dict[str, list[str]]:
    """The devices that each restricted user and key may see, by the subject of its tokens. Raises SQLAlchemyError."""
    subjects = {str(number): ("user", number) for number in session.scalars(select(User.id).where(User.restricted))}
    good = (ApiKey.restricted, ApiKey.revoked_at.is_(None), ApiKey.expires_at > now())
    subjects |= {key.family: ("key", key.id) for key in session.scalars(select(ApiKey).where(*good))}
    if not subjects:
        return {}
    parents = {zone: parent for zone, parent in session.execute(select(ServiceZone.id, ServiceZone.parent_id))}
    given: defaultdict[tuple[str, int], dict[int, RoleName]] = defaultdict(dict)
    for row in session.scalars(select(ZoneRole)):
        owner = ("user", row.user_id) if row.user_id is not None else ("key", row.key_id or 0)
        given[owner][row.zone_id] = RoleName(row.role)
    by_zone: defaultdict[int, list[str]] = defaultdict(list)
    for zone, device in session.execute(select(Device.zone_id, Device.device_id).where(Device.zone_id.is_not(None))):
        by_zone[zone or 0].append(device)
    return {
        subject: sorted(device for zone in spread(given[owner], parents) for device in by_zone[zone])
        for subject, owner in subjects.items()
    }


def take_change(session: AnySession) -> bool:
    """Whether something was written in this session, since this was last asked, that decides who sees what."""
    return bool(session.info.pop(CHANGED, False))


@event.listens_for(Session, "after_flush")
def _note_rows(session: Session, _context: UOWTransaction) -> None:
    for row in (*session.new, *session.deleted):
        if type(row) in DECIDING:
            session.info[CHANGED] = True
            return
    for row in session.dirty:
        names = DECIDING.get(type(row), ())
        if any(inspect(row).attrs[name].history.has_changes() for name in names):
            session.info[CHANGED] = True
            return


@event.listens_for(Session, "do_orm_execute")
def _note_statements(state: ORMExecuteState) -> None:
    """Statements that change many rows at once."""
    if (state.is_update or state.is_delete) and any(mapper.class_ in DECIDING for mapper in state.all_mappers):
        state.session.info[CHANGED] = True
