"""`/api/push-keys/`: keys with which devices push frames over HTTP. Administrators make and revoke them.

What does not belong here: pushing (`greenpower.api.telemetry.push`), the keys as they are stored
(`greenpower.mongo.devices.push_keys`).
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import pymongo
from bson import ObjectId
from flask import Response, abort

from greenpower.api.accounts.push_key_audit import new_push_key_change, revoked_push_key_change
from greenpower.api.http.audited_change import finish_change, unaudited
from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import private
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_ID, EXAMPLE_TIME, WholeNumber, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageSchema, example_page
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.datatype import is_device_id
from greenpower.mongo.client import Document
from greenpower.mongo.devices.push_keys import (
    MAX_KEY_CLAIMS,
    MAX_KEY_DEVICES,
    MAX_KEY_NAME_LENGTH,
    new_push_key,
    revoke_push_key,
)
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.mongo.schema.layout import PUSH_KEYS
from greenpower.mongo.unaudited import held
from greenpower.sql import RoleName

KEY_PATH = "/<string(length=24):push_key>/"
MAX_PUSH_KEY_DAYS = 50 * 366
EXAMPLE_PUSH_SECRET = f"gpush_{EXAMPLE_ID}_" + "0" * 64
EXAMPLE_PUSH_KEY = {
    "id": EXAMPLE_ID,
    "name": "The Things Network",
    "claims": ["ttn"],
    "devices": [],
    "made_by": "admin",
    "made_at": EXAMPLE_TIME,
    "expires_at": None,
    "revoked_at": None,
    "revoked_by": None,
    "last_used_at": EXAMPLE_TIME,
}


class PushKeySchema(ma.Schema):
    """A key, without its secret."""

    id = ma.fields.String(required=True, metadata=describe("id of the key", example=EXAMPLE_ID))
    name = ma.fields.String(required=True, metadata=describe("what the key is for"))
    claims = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("the claims that it is for; empty: all")
    )
    devices = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("the devices that frames may be of; empty: all")
    )
    made_by = ma.fields.String(required=True, metadata=describe("who made it"))
    made_at = time_field("when it was made, UTC")
    expires_at = time_field("when it expires, UTC; null: never", null=True)
    revoked_at = time_field("when it was revoked, UTC; null: it was not", null=True)
    revoked_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who revoked it"))
    last_used_at = time_field("when it was last used, UTC, to the minute; null: never", null=True)


class MadePushKeySchema(PushKeySchema):
    """A key that was just made."""

    key = ma.fields.String(
        required=True, metadata=describe("the key itself; it is shown only once", example=EXAMPLE_PUSH_SECRET)
    )


class PushKeyPage(PageSchema):
    """A page of keys."""

    results = ma.fields.List(ma.fields.Nested(PushKeySchema), required=True)


class NewPushKey(ma.Schema):
    """A new key."""

    name = text_field("what the key is for", MAX_KEY_NAME_LENGTH, 1, example="meter 7", required=True)
    claims = ma.fields.List(
        ma.fields.String(),
        load_default=(),
        validate=ma.validate.Length(max=MAX_KEY_CLAIMS),
        metadata=describe("the claims that it is for; none: all", example=["ttn"]),
    )
    devices = ma.fields.List(
        ma.fields.String(),
        load_default=(),
        validate=ma.validate.Length(max=MAX_KEY_DEVICES),
        metadata=describe(
            "the devices that frames may be of; none: all. With one, frames that name no device are of it", example=[]
        ),
    )
    days = WholeNumber(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Range(1, MAX_PUSH_KEY_DAYS),
        metadata=describe("days until it expires; null: never"),
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "push-keys", __name__, url_prefix="/api/push-keys", description="Keys for pushing frames over HTTP"
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(422, 503)
    @blueprint.arguments(TimedPageQuery)
    @blueprint.response(200, PushKeyPage, example=example_page(EXAMPLE_PUSH_KEY))
    def list_push_keys(query: dict[str, Any]) -> Response:
        """List keys for pushing

        Newest first, including expired and revoked ones.
        """
        return timed_page_answer(query, database()[PUSH_KEYS], {}, present_push_key, by="made_at", ranged=False)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(400, 413, 415, 422, 503)
    @blueprint.arguments(NewPushKey, location="json")
    @blueprint.response(201, MadePushKeySchema, example={**EXAMPLE_PUSH_KEY, "key": EXAMPLE_PUSH_SECRET})
    def add_push_key(body: dict[str, Any]) -> Response:
        """Make a key for pushing

        Only this answer contains the key; only a hash of it is stored.
        """
        if errors := _wrong(body["claims"], body["devices"]):
            abort_body(errors)
        now = datetime.now(UTC)
        document, key = new_push_key(
            name=body["name"],
            claims=list(body["claims"]),
            devices=list(body["devices"]),
            made_by=current_caller().username,
            now=now,
            expires_at=None if body["days"] is None else now + timedelta(days=body["days"]),
        )
        change = new_push_key_change(document)
        with pymongo.timeout(QUERY_SECONDS):
            database()[PUSH_KEYS].insert_one({**document, **held(unaudited(change))})
        finish_change(database(), change, document["_id"])
        return private(answer({**present_push_key(document), "key": key}, 201))

    @blueprint.route(KEY_PATH)
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(404, 503)
    @blueprint.response(200, PushKeySchema, example=EXAMPLE_PUSH_KEY)
    def show_push_key(push_key: str) -> Response:
        """Show a key for pushing"""
        with pymongo.timeout(QUERY_SECONDS):
            found = database()[PUSH_KEYS].find_one({"_id": _id(push_key)})
        return answer(present_push_key(_known(found, push_key)))

    @blueprint.route(KEY_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.ADMIN)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_push_key(push_key: str) -> Response:
        """Revoke a key for pushing

        Nothing is taken with it from a second later on. It stays in the list.
        """
        now = datetime.now(UTC)
        key_id, by = _id(push_key), current_caller().username
        with pymongo.timeout(QUERY_SECONDS):
            change = revoked_push_key_change(_known(database()[PUSH_KEYS].find_one({"_id": key_id}), push_key), now)
            revoked = revoke_push_key(database()[PUSH_KEYS], key_id, by, now, unaudited(change))
        if revoked:
            finish_change(database(), change, key_id)
        return Response(status=204)

    return blueprint


def present_push_key(document: Document) -> Document:
    """A key as the API shows it."""
    shown = {name: document.get(name) for name in EXAMPLE_PUSH_KEY if name != "id"}
    return {"id": str(document["_id"]), **shown}


def _wrong(claims: list[str], devices: list[str]) -> dict[str, list[str]]:
    """What is wrong with the claims and devices of a new key, by name."""
    known = get_context().registry.pushes
    errors = {}
    if unknown := [name for name in claims if name not in known]:
        choices = ", ".join(known) or "none"
        errors["claims"] = [f"No data type takes pushes to {', '.join(unknown)}; there are: {choices}."[:300]]
    if wrong := [device for device in devices if not is_device_id(device)]:
        errors["devices"] = [f"Not ids of devices: {', '.join(wrong)}."[:300]]
    return errors


def _id(text: str) -> ObjectId:
    if not ObjectId.is_valid(text):
        abort(404, "There is no such key.")
    return ObjectId(text)


def _known(document: Document | None, push_key: str) -> Document:
    if document is None:
        abort(404, f"There is no key {push_key}.")
    return document
