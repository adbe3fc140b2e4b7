"""Restrictions of users and API keys to service zones, in bodies and answers, and their copy for the gateway.

What belongs here: how a restriction is given and shown, and that its copy in Redis follows every change of it. What
does not: what it means (`greenpower.sql.restriction`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import marshmallow as ma
from flask import Flask, Response
from redis import RedisError

from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import WholeNumber
from greenpower.bus.visibility import write_visible
from greenpower.sql import ApiKey, RoleName, User
from greenpower.sql.extensions import db
from greenpower.sql.restriction import RestrictionError, check_roles, devices_of_all, restrict, take_change
from greenpower.sql.user import LARGEST_ID
from greenpower.sql.visible_zones import seeing_everything
from greenpower.sql.zone_role import ROLES_IN_ZONES

log = logging.getLogger(__name__)
MAX_ZONE_ROLES = 200
EXAMPLE_ZONES = [{"zone_id": 1, "role": RoleName.VIEWER.value}]
ZONES_DESCRIPTION = (
    "restricts it to these service zones and the zones in them, with the role in each; what lies elsewhere does not "
    "exist for it. Empty: it sees nothing; null: the whole site"
)


class ZoneRoleSchema(ma.Schema):
    """A role in a service zone and the zones in it."""

    zone_id = WholeNumber(required=True, validate=ma.validate.Range(1, LARGEST_ID), metadata=describe("the zone"))
    role = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf([role.value for role in ROLES_IN_ZONES]),
        metadata=describe("the role there; of an API key no more than its scopes allow"),
    )


def zones_field(**options: Any) -> ma.fields.List[Any]:
    """The field `zones` of a body."""
    return ma.fields.List(
        ma.fields.Nested(ZoneRoleSchema),
        allow_none=True,
        validate=ma.validate.Length(max=MAX_ZONE_ROLES),
        metadata=describe(ZONES_DESCRIPTION, example=EXAMPLE_ZONES),
        **options,
    )


def shown_zones_field() -> ma.fields.List[Any]:
    """The field `zones` of an answer."""
    return ma.fields.List(
        ma.fields.Nested(ZoneRoleSchema),
        required=True,
        allow_none=True,
        metadata=describe("the service zones that it is restricted to; null: the whole site", example=None),
    )


def present_zones(owner: User | ApiKey) -> list[dict[str, Any]] | None:
    """A restriction as the API shows it."""
    if not owner.restricted:
        return None
    return [{"zone_id": row.zone_id, "role": row.role} for row in owner.zone_roles]


def set_zones(owner: User | ApiKey, zones: Sequence[dict[str, Any]] | None) -> list[str]:
    """Restrict a user or key as a body says. Returns the families to be mirrored as revoked; the caller commits. Aborts
    with 422. Raises LastAdministrator."""
    return restrict(owner, checked_roles(zones))


def checked_roles(zones: Sequence[dict[str, Any]] | None) -> dict[int, RoleName] | None:
    """The role in each zone that a body gives; None for the whole site. Aborts with 422."""
    if zones is None:
        return None
    roles = {item["zone_id"]: RoleName(item["role"]) for item in zones}
    try:
        check_roles(roles)
    except RestrictionError as error:
        db.session.rollback()
        abort_body({"zones": [str(error)]})
    return roles


def init_visible(app: Flask) -> None:
    """Have the copy in Redis follow every request that changes who sees what: also one that moves a device."""

    @app.after_request
    def copy(response: Response) -> Response:
        if take_change(db.session):
            cache_visible()
        return response


def cache_visible() -> None:
    """Copy to Redis which devices those who are restricted may see. Call it after the commit; never fails."""
    client = get_context().redis
    if client is None:
        return
    try:
        with seeing_everything():
            found = devices_of_all(db.session)
            db.session.rollback()
        write_visible(client, found)
    except RedisError as error:
        log.warning("Redis does not have yet who may see which devices: %.200s", error)
