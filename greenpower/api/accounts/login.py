"""`/api/users/token/`: log in, renew tokens, log out."""

from __future__ import annotations

import marshmallow as ma
from flask import Response, abort

from greenpower.api.accounts import token
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import private
from greenpower.api.http.json import answer
from greenpower.api.http.rate_limit import login_limits
from greenpower.sql.extensions import db
from greenpower.sql.password import MAX_PASSWORD_LENGTH, check_password, hash_password, is_outdated
from greenpower.sql.time import now
from greenpower.sql.user import find_user


class LoginSchema(ma.Schema):
    """A user name and a password."""

    username = ma.fields.String(
        required=True, validate=ma.validate.Length(1, 150), metadata=describe("name of the user", example="admin")
    )
    password = ma.fields.String(
        required=True, validate=ma.validate.Length(1, MAX_PASSWORD_LENGTH), metadata=describe("password of the user")
    )


class TokensSchema(ma.Schema):
    """The tokens of a login."""

    access = ma.fields.String(
        required=True, metadata=describe("send it as `Authorization: Bearer <access>`; valid for 15 minutes")
    )
    refresh = ma.fields.String(required=True, metadata=describe("exchange it once for new tokens; valid for 7 days"))


class RefreshSchema(ma.Schema):
    """A refresh token."""

    refresh = ma.fields.String(
        required=True, validate=ma.validate.Length(1, 8192), metadata=describe("newest refresh token of the login")
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("login", __name__, url_prefix="/api/users/token", description="Logging in and out")

    @blueprint.route("/", methods=["POST"])
    @login_limits
    @blueprint.errors(400, 401, 413, 415, 422, 429, 503)
    @blueprint.arguments(LoginSchema, location="json")
    @blueprint.response(200, TokensSchema)
    def log_in(body: dict[str, str]) -> Response:
        """Log in

        Send the access token with every request. When it has expired, use the refresh token to get new ones.
        """
        user = find_user(body["username"])
        if not check_password(user.password_hash if user else None, body["password"]) or not user or not user.active:
            abort(401, "The user name or the password is wrong.")
        if is_outdated(user.password_hash):
            user.password_hash = hash_password(body["password"])
        user.last_login_at = now()
        db.session.flush()
        return private(answer(token.start_family(user)))

    @blueprint.route("/refresh/", methods=["POST"])
    @blueprint.errors(400, 401, 413, 415, 422, 503)
    @blueprint.arguments(RefreshSchema, location="json")
    @blueprint.response(200, TokensSchema)
    def refresh(body: dict[str, str]) -> Response:
        """Renew the tokens

        A refresh token can be used only once. If it is used a second time it may have been stolen, so the login ends.
        """
        return private(answer(token.renew(body["refresh"])))

    @blueprint.route("/logout/", methods=["POST"])
    @blueprint.errors(400, 401, 413, 415, 422, 503)
    @blueprint.arguments(RefreshSchema, location="json")
    @blueprint.response(204)
    def log_out(body: dict[str, str]) -> Response:
        """Log out

        All tokens of the login become invalid at once, including access tokens.
        """
        token.end(body["refresh"])
        return Response(status=204)

    return blueprint
