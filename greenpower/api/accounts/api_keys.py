"""`/api/api-keys/`: keys for programs. Administrators create them; programs exchange them for short-lived tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.orm import joinedload, selectinload

from greenpower.api.accounts import token
from greenpower.api.accounts.client_credentials import add_client_credentials
from greenpower.api.accounts.restriction import present_zones, set_zones, shown_zones_field, zones_field
from greenpower.api.accounts.revocation_cache import cache_revoked
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import private, with_etag
from greenpower.api.http.fields import EXAMPLE_TIME, WholeNumber, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.key_auth import find_key
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.api.http.rate_limit import key_limits
from greenpower.bus.revocation import ACCESS_SECONDS
from greenpower.sql import ApiKey, RoleName, Scope
from greenpower.sql.api_key import new_key
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.user import LARGEST_ID

SCOPES = tuple(scope.value for scope in Scope)
ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):key_id>/"
MAX_LIFETIME_DAYS = 5 * 366
EXAMPLE_SECRET = "gp_0123456789ab_" + "0" * 64
EXAMPLE_KEY = {
    "id": 1,
    "name": "billing",
    "public_id": "0123456789ab",
    "scopes": ["telemetry:read"],
    "role": "viewer",
    "zones": None,
    "created_by": "admin",
    "created_at": EXAMPLE_TIME,
    "expires_at": "2027-11-23T15:04:05.000Z",
    "revoked_at": None,
    "last_used_at": EXAMPLE_TIME,
}


class KeySchema(ma.Schema):
    """A key, without its secret."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the key"))
    name = ma.fields.String(required=True, metadata=describe("what the key is for"))
    public_id = ma.fields.String(required=True, metadata=describe("the part of the key that is not secret"))
    scopes = ma.fields.List(ma.fields.String(), required=True, metadata=describe("what the key may do"))
    role = ma.fields.String(required=True, metadata=describe("the role that corresponds to its scopes"))
    zones = shown_zones_field()
    created_by = ma.fields.String(
        required=True, allow_none=True, metadata=describe("user who created it; null: deleted since, or none")
    )
    created_at = time_field("when it was created, UTC")
    expires_at = time_field("when it expires, UTC")
    revoked_at = time_field("when it was revoked, UTC; null: it was not", null=True)
    last_used_at = time_field("when it was last used, UTC, to the minute; null: never", null=True)


class CreatedKeySchema(KeySchema):
    """A key that was just created."""

    key = ma.fields.String(
        required=True, metadata=describe("the key itself; it is shown only once", example=EXAMPLE_SECRET)
    )


class KeyPage(PageSchema):
    """A page of keys."""

    results = ma.fields.List(ma.fields.Nested(KeySchema), required=True)


class NewKey(ma.Schema):
    """A new key."""

    name = text_field("what the key is for", 120, 1, example="billing", required=True)
    scopes = ma.fields.List(
        ma.fields.String(validate=ma.validate.OneOf(SCOPES)),
        required=True,
        validate=ma.validate.Length(1, len(SCOPES)),
        metadata=describe("what the key may do", example=["telemetry:read"]),
    )
    days = WholeNumber(
        load_default=365,
        validate=ma.validate.Range(1, MAX_LIFETIME_DAYS),
        metadata=describe("days until it expires"),
    )
    zones = zones_field(load_default=None)


class KeyChange(ma.Schema):
    """Changes to a key."""

    zones = zones_field(required=True)


class KeyExchange(ma.Schema):
    """A key to exchange."""

    key = ma.fields.String(
        required=True, validate=ma.validate.Length(1, 200), metadata=describe("the key", example=EXAMPLE_SECRET)
    )


class KeyTokenSchema(ma.Schema):
    """The token of a key."""

    access = ma.fields.String(required=True, metadata=describe("send it as `Authorization: Bearer <access>`"))
    expires_in = ma.fields.Integer(
        required=True, metadata=describe("seconds for which it is valid", example=ACCESS_SECONDS)
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("api-keys", __name__, url_prefix="/api/api-keys", description="API keys")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, KeyPage, example=example_page(EXAMPLE_KEY))
    def list_keys(query: dict[str, Any]) -> Response:
        """List API keys

        Newest first, including expired and revoked ones.
        """
        wanted = (
            select(ApiKey).options(joinedload(ApiKey.maker), selectinload(ApiKey.zone_roles)).order_by(ApiKey.id.desc())
        )
        return sql_page_answer(query, wanted, lambda keys: [*map(present, keys)], ApiKey.id, descending=True)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(400, 413, 415, 422, 503)
    @blueprint.arguments(NewKey, location="json")
    @blueprint.response(201, CreatedKeySchema, example={**EXAMPLE_KEY, "key": EXAMPLE_SECRET})
    def add_key(body: dict[str, Any]) -> Response:
        """Create an API key

        Only this answer contains the key; it is not stored.
        """
        expires_at = now() + timedelta(days=body["days"])
        key, secret = new_key(body["name"], sorted({*body["scopes"]}), expires_at, current_caller().id)
        key.restricted = body["zones"] is not None
        db.session.add(key)
        if key.restricted:
            set_zones(key, body["zones"])
        db.session.commit()
        return private(answer({**present(key), "key": secret}, 201))

    @blueprint.route("/token/", methods=["POST"])
    @key_limits
    @blueprint.errors(400, 401, 413, 415, 422, 429, 503)
    @blueprint.arguments(KeyExchange, location="json")
    @blueprint.response(200, KeyTokenSchema)
    def exchange_key(body: dict[str, str]) -> Response:
        """Exchange an API key for a token

        The token is valid for 15 minutes; then exchange the key again. To read, the key itself will do, as
        `Authorization: Bearer <key>` or `X-API-Key: <key>`.
        """
        key = find_key(body["key"])
        if key is None:
            abort(401, "The key is wrong, expired or revoked.")
        return private(answer({"access": token.key_token(key), "expires_in": ACCESS_SECONDS}))

    add_client_credentials(blueprint)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(404, 503)
    @blueprint.response(200, KeySchema, example=EXAMPLE_KEY)
    def show_key(key_id: int) -> Response:
        """Show an API key"""
        return with_etag(answer(present(_find(key_id))))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(KeyChange, location="json")
    @blueprint.response(200, KeySchema, example=EXAMPLE_KEY)
    def restrict_key(body: dict[str, Any], key_id: int) -> Response:
        """Restrict an API key to service zones

        It holds at once. A token that the key got before its restriction was lifted sees no values of the realtime
        gateway: get another one.
        """
        key = _find(key_id)
        set_zones(key, body["zones"])
        shown = present(key)
        db.session.commit()
        return answer(shown)

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def revoke_key(key_id: int) -> Response:
        """Revoke an API key

        The key and its tokens become invalid at once. It stays in the list.
        """
        key = _find(key_id)
        key.revoked_at = key.revoked_at or now()
        family = key.family
        db.session.commit()
        cache_revoked([family])
        return Response(status=204)

    return blueprint


def present(key: ApiKey) -> dict[str, Any]:
    """A key as the API shows it."""
    maker = None if key.maker is None else key.maker.username
    others = {"created_by": maker, "zones": present_zones(key)}
    return {name: others[name] if name in others else getattr(key, name) for name in EXAMPLE_KEY}


def _find(key_id: int) -> ApiKey:
    key = db.session.get(ApiKey, key_id)
    if key is None:
        abort(404, f"There is no key {key_id}.")
    return key
