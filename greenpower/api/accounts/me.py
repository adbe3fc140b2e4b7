"""`/api/users/me/` and `/api/roles/`: the caller's own account and password, and what each role may do."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort

from greenpower.api.accounts.login import TokensSchema
from greenpower.api.accounts.revocation_cache import cache_revoked
from greenpower.api.accounts.token import start_family
from greenpower.api.accounts.users import EXAMPLE_USER, ROLES, UserSchema, password_field, present
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import private, with_etag
from greenpower.api.http.json import answer
from greenpower.api.http.rate_limit import login_limits
from greenpower.sql import RoleName, User
from greenpower.sql.account import change_user
from greenpower.sql.extensions import db
from greenpower.sql.password import MAX_PASSWORD_LENGTH, check_password
from greenpower.sql.role import DESCRIPTIONS


class PasswordChange(ma.Schema):
    """A new password for the caller."""

    old = ma.fields.String(
        required=True, validate=ma.validate.Length(1, MAX_PASSWORD_LENGTH), metadata=describe("current password")
    )
    new = password_field("new password", required=True)


class RoleSchema(ma.Schema):
    """A role."""

    name = ma.fields.String(required=True, validate=ma.validate.OneOf(ROLES), metadata=describe("name of the role"))
    description = ma.fields.String(required=True, metadata=describe("what the role may do"))


class RoleList(ma.Schema):
    """The roles."""

    results = ma.fields.List(ma.fields.Nested(RoleSchema), required=True)


def make_blueprint() -> Blueprint:
    """The caller's own account."""
    blueprint = Blueprint("me", __name__, url_prefix="/api/users/me", description="Your account")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(503)
    @blueprint.response(200, UserSchema, example=EXAMPLE_USER)
    def show_me() -> Response:
        """Show your account

        Of somebody who is restricted to service zones, `role` is the highest in any of them.
        """
        return with_etag(answer({**present(_me()), "role": current_caller().role}))

    @blueprint.route("/password/", methods=["POST"])
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @login_limits
    @blueprint.errors(400, 409, 413, 415, 422, 429, 503)
    @blueprint.arguments(PasswordChange, location="json")
    @blueprint.response(200, TokensSchema)
    def change_password(body: dict[str, str]) -> Response:
        """Change your password

        Ends all of your logins, including this one, and answers with the tokens of a new one. 409 if the old password
        is wrong.
        """
        user = _me()
        if not check_password(user.password_hash, body["old"]):
            abort(409, "The old password is wrong.")
        ended = change_user(user, password=body["new"])
        tokens = start_family(user)
        cache_revoked(ended.families)
        return private(answer(tokens))

    return blueprint


def make_role_blueprint() -> Blueprint:
    """The roles."""
    blueprint = Blueprint("roles", __name__, url_prefix="/api/roles", description="Roles")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.response(200, RoleList)
    def list_roles() -> Response:
        """List the roles

        Lowest first; each role may also do what the ones before it may.
        """
        roles: list[dict[str, Any]] = [{"name": role.value, "description": DESCRIPTIONS[role]} for role in RoleName]
        return with_etag(answer({"results": roles}))

    return blueprint


def _me() -> User:
    user = db.session.get(User, current_caller().id)
    if user is None:
        abort(401, "The token was revoked.")
    return user
