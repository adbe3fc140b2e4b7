"""`/api/api-keys/client-credentials/`: exchanging an API key as OAuth clients do it (RFC 6749, section 4.4).

Programs that only know OAuth get a token here. The client id is the public part of a key, the client secret the whole
key. What belongs here: that form and its errors. What does not: the exchange itself
(`greenpower.api.accounts.api_keys`).
"""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, request

from greenpower.api.accounts import token
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import private
from greenpower.api.http.errors import problem
from greenpower.api.http.json import answer
from greenpower.api.http.key_auth import find_key
from greenpower.api.http.rate_limit import key_limits
from greenpower.bus.revocation import ACCESS_SECONDS
from greenpower.sql import Scope

CLIENT_CREDENTIALS = "client_credentials"
MAX_CREDENTIAL_LENGTH = 200


class ClientCredentials(ma.Schema):
    """A request for a token. The credentials may come in the header `Authorization: Basic` instead."""

    class Meta:
        """What OAuth clients send beside it is ignored."""

        unknown = ma.EXCLUDE

    grant_type = ma.fields.String(
        required=True, metadata=describe("always `client_credentials`", enum=[CLIENT_CREDENTIALS])
    )
    client_id = ma.fields.String(
        validate=ma.validate.Length(max=MAX_CREDENTIAL_LENGTH), metadata=describe("the public id of the key")
    )
    client_secret = ma.fields.String(
        validate=ma.validate.Length(max=MAX_CREDENTIAL_LENGTH), metadata=describe("the key itself")
    )


class ClientTokenSchema(ma.Schema):
    """The token, in the words of OAuth."""

    access_token = ma.fields.String(required=True, metadata=describe("send it as `Authorization: Bearer <token>`"))
    token_type = ma.fields.String(required=True, metadata=describe("always `Bearer`", example="Bearer"))
    expires_in = ma.fields.Integer(
        required=True, metadata=describe("seconds for which it is valid", example=ACCESS_SECONDS)
    )
    scope = ma.fields.String(
        required=True, metadata=describe("what the key may do", example=Scope.TELEMETRY_READ.value)
    )


def add_client_credentials(blueprint: Blueprint) -> None:
    """Add the resource."""

    @blueprint.route("/client-credentials/", methods=["POST"])
    @key_limits
    @blueprint.errors(400, 401, 413, 415, 422, 429, 503)
    @blueprint.arguments(ClientCredentials, location="form")
    @blueprint.response(200, ClientTokenSchema)
    def grant(form: dict[str, str]) -> Response:
        """Exchange an API key as an OAuth client

        Form-encoded, with `grant_type=client_credentials`, as RFC 6749 says. The client id is the public id of a key,
        the client secret is the key itself. The error code of OAuth is in `error`.
        """
        if form["grant_type"] != CLIENT_CREDENTIALS:
            return _refusal(400, "unsupported_grant_type", "This grants tokens for client_credentials only.")
        name, secret = _credentials(form)
        key = find_key(secret)
        if key is None or name != key.public_id:
            return _refusal(401, "invalid_client", "The key is wrong, expired or revoked.")
        granted = {"token_type": "Bearer", "expires_in": ACCESS_SECONDS, "scope": " ".join(key.scopes)}
        return private(answer({"access_token": token.key_token(key), **granted}))


def _credentials(form: dict[str, str]) -> tuple[str, str]:
    """Id and secret: of the header, else of the form; empty where there are none."""
    basic = request.authorization
    if basic is not None and basic.type == "basic":
        return basic.username or "", basic.password or ""
    return form.get("client_id", ""), form.get("client_secret", "")


def _refusal(code: int, error: str, message: str) -> Response:
    more: dict[str, Any] = {"error": error, "error_description": message}
    return private(problem(code, message, **more))
