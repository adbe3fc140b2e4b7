"""`/api/users/`: the users, for administrators. The caller's own account is in `greenpower.api.accounts.me`."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.orm import selectinload

from greenpower.api.accounts.restriction import checked_roles, present_zones, set_zones, shown_zones_field, zones_field
from greenpower.api.accounts.revocation_cache import cache_revoked
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.fields import EXAMPLE_TIME, FullMatch, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.sql import RoleName, User
from greenpower.sql.account import Ended, LastAdministrator, change_user, delete_user
from greenpower.sql.extensions import db
from greenpower.sql.password import MAX_PASSWORD_LENGTH, MIN_PASSWORD_LENGTH
from greenpower.sql.setup import make_user
from greenpower.sql.user import LARGEST_ID, find_user

ROLES = tuple(role.value for role in RoleName)
ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):user_id>/"
EXAMPLE_USER = {
    "id": 2,
    "username": "ada",
    "role": "operator",
    "active": True,
    "zones": None,
    "created_at": EXAMPLE_TIME,
    "last_login_at": EXAMPLE_TIME,
}


def password_field(what: str, **options: Any) -> ma.fields.String:
    """A field for a new password. what: its description."""
    checks = ma.validate.Length(MIN_PASSWORD_LENGTH, MAX_PASSWORD_LENGTH)
    return ma.fields.String(validate=checks, metadata=describe(what, example="correct horse battery"), **options)


class UserSchema(ma.Schema):
    """A user, without the password."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the user"))
    username = ma.fields.String(required=True, metadata=describe("name to log in with"))
    role = ma.fields.String(required=True, validate=ma.validate.OneOf(ROLES), metadata=describe("the user's role"))
    active = ma.fields.Boolean(required=True, metadata=describe("whether the user may log in"))
    zones = shown_zones_field()
    created_at = time_field("when the user was created, UTC")
    last_login_at = time_field("when the user last logged in, UTC; null: never", null=True)


class UserPage(PageSchema):
    """A page of users."""

    results = ma.fields.List(ma.fields.Nested(UserSchema), required=True)


class RevokedKeySchema(ma.Schema):
    """An API key that was revoked because its maker is gone."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the key", example=1))
    name = ma.fields.String(required=True, metadata=describe("what the key was for", example="billing"))


class ChangedUserSchema(UserSchema):
    """A user after a change."""

    revoked_keys = ma.fields.List(
        ma.fields.Nested(RevokedKeySchema),
        required=True,
        metadata=describe("API keys of the user that were revoked by this"),
    )


class DeletedUserSchema(ma.Schema):
    """What went with a user."""

    revoked_keys = ma.fields.List(
        ma.fields.Nested(RevokedKeySchema),
        required=True,
        metadata=describe("API keys of the user that were revoked by this"),
    )


class NewUser(ma.Schema):
    """A new user."""

    username = ma.fields.String(
        required=True,
        validate=FullMatch(r"^[A-Za-z0-9_.@+-]{1,150}$"),
        metadata=describe("letters, digits and . @ + - _", example="ada"),
    )
    password = password_field("first password", required=True)
    role = ma.fields.String(required=True, validate=ma.validate.OneOf(ROLES), metadata=describe("the user's role"))
    zones = zones_field(load_default=None)


class UserChange(ma.Schema):
    """Changes to a user."""

    password = password_field("new password; ends the user's logins")
    role = ma.fields.String(validate=ma.validate.OneOf(ROLES), metadata=describe("new role; ends the user's logins"))
    zones = zones_field()
    active = ma.fields.Boolean(
        metadata=describe(
            "false ends the user's logins at once, blocks new ones and revokes the API keys that the user created"
        )
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("users", __name__, url_prefix="/api/users", description="Users")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, UserPage, example=example_page(EXAMPLE_USER))
    def list_users(query: dict[str, Any]) -> Response:
        """List users

        Ordered by name.
        """
        return sql_page_answer(
            query,
            select(User).options(selectinload(User.zone_roles)).order_by(User.username),
            lambda users: [*map(present, users)],
            User.username,
        )

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewUser, location="json")
    @blueprint.response(201, UserSchema, example=EXAMPLE_USER)
    def add_user(body: dict[str, Any]) -> Response:
        """Create a user

        409 if the name is already used.
        """
        name = body["username"].rstrip("\n")
        restricted = checked_roles(body["zones"]) is not None
        if not make_user(name, body["password"], RoleName(body["role"]), restricted=restricted):
            abort(409, f"There is already a user {name!r}.")
        user = find_user(name)
        assert user is not None
        if restricted:
            set_zones(user, body["zones"])
            db.session.commit()
        return answer(present(user), 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(404, 503)
    @blueprint.response(200, UserSchema, example=EXAMPLE_USER)
    def show_user(user_id: int) -> Response:
        """Show a user"""
        return with_etag(answer(present(_find(user_id))))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(UserChange, location="json")
    @blueprint.response(200, ChangedUserSchema, example={**EXAMPLE_USER, "revoked_keys": []})
    def alter_user(body: dict[str, Any], user_id: int) -> Response:
        """Change a user

        A new password, a new role and `active: false` end all of the user's logins at once; so does the first
        restriction to service zones, and the end of it. `active: false` also revokes the API keys that the user
        created; the answer lists them. 409 for the last administrator.
        """
        user = _find(user_id)
        role = RoleName(body["role"]) if "role" in body else None
        try:
            families = set_zones(user, body["zones"]) if "zones" in body else []
            ended = change_user(user, password=body.get("password"), role=role, active=body.get("active"))
        except LastAdministrator as error:
            db.session.rollback()
            abort(409, str(error))
        shown = {**present(user), **_revoked(ended)}
        db.session.commit()
        cache_revoked([*families, *ended.families])
        return answer(shown)

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(404, 409, 503)
    @blueprint.response(200, DeletedUserSchema, example={"revoked_keys": [{"id": 1, "name": "billing"}]})
    def remove_user(user_id: int) -> Response:
        """Delete a user

        All of the user's logins end at once, and the API keys that the user created are revoked; the answer lists them.
        409 for the last administrator.
        """
        try:
            ended = delete_user(_find(user_id))
        except LastAdministrator as error:
            db.session.rollback()
            abort(409, str(error))
        shown = _revoked(ended)
        db.session.commit()
        cache_revoked(ended.families)
        return answer(shown)

    return blueprint


def present(user: User) -> dict[str, Any]:
    """A user as the API shows it."""
    return {
        "id": user.id,
        "username": user.username,
        "role": user.role.name,
        "active": user.active,
        "zones": present_zones(user),
        "created_at": user.created_at,
        "last_login_at": user.last_login_at,
    }


def _revoked(ended: Ended) -> dict[str, Any]:
    return {"revoked_keys": [{"id": key.id, "name": key.name} for key in ended.keys]}


def _find(user_id: int) -> User:
    user = db.session.get(User, user_id)
    if user is None:
        abort(404, f"There is no user {user_id}.")
    return user
