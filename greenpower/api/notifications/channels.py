"""`/api/notifications/channels/`: where messages to people go. Their addresses go in and never come out."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select

from greenpower.api.http.auth import current_caller
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_ID, EXAMPLE_TIME, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.api.notifications.channel_rules import (
    ChannelError,
    add_channel,
    change_channel,
    find_owner,
    put_test,
    visible_channels,
)
from greenpower.sql import NotificationChannel, RoleName, User
from greenpower.sql.extensions import db
from greenpower.sql.notification_channel import MAX_CHANNEL_URL_LENGTH
from greenpower.sql.user import LARGEST_ID

CHANNEL_PATH = f"/<int(min=1, max={LARGEST_ID}):channel_id>/"
MAX_CHANNEL_NAME_LENGTH = 120
URL_TEXT = "address as apprise reads it; it is kept and never shown: docs/notifications.md says which kinds are allowed"
OWNER_TEXT = "user whose channel it is; null: everyone's. Administrators alone name others"
EXAMPLE_URL = "mailtos://user:password@mail.example.org?to=energy@example.org"
EXAMPLE_CHANNEL = {
    "id": 1,
    "name": "Energy team",
    "kind": "mailtos",
    "owner": None,
    "enabled": True,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
    "created_by": "admin",
}


class ChannelSchema(ma.Schema):
    """A channel, without its address."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the channel"))
    name = ma.fields.String(required=True, metadata=describe("what people call it"))
    kind = ma.fields.String(required=True, metadata=describe("kind of its address", example="mailtos"))
    owner = ma.fields.String(required=True, allow_none=True, metadata=describe("whose it is; null: everyone's"))
    enabled = ma.fields.Boolean(required=True, metadata=describe("whether anything is sent"))
    created_at = time_field("when it was made, UTC")
    updated_at = time_field("when it was last changed, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))


class ChannelPage(PageSchema):
    """A page of channels."""

    results = ma.fields.List(ma.fields.Nested(ChannelSchema), required=True)


class NewChannel(ma.Schema):
    """A new channel."""

    name = text_field("what people call it", MAX_CHANNEL_NAME_LENGTH, 1, example="Energy team", required=True)
    url = text_field(URL_TEXT, MAX_CHANNEL_URL_LENGTH, 1, example=EXAMPLE_URL, required=True)
    owner = text_field(OWNER_TEXT, 150, 1, example="ada", allow_none=True, load_default=None)
    enabled = ma.fields.Boolean(load_default=True, metadata=describe("whether anything is sent"))


class ChannelChange(ma.Schema):
    """Changes of a channel; what is left out stays."""

    name = text_field("what people call it", MAX_CHANNEL_NAME_LENGTH, 1, example="Energy team")
    url = text_field(URL_TEXT, MAX_CHANNEL_URL_LENGTH, 1, example=EXAMPLE_URL)
    owner = text_field(OWNER_TEXT, 150, 1, example="ada", allow_none=True)
    enabled = ma.fields.Boolean(metadata=describe("whether anything is sent"))


class ChannelTest(ma.Schema):
    """A test that waits to be sent."""

    notice = ma.fields.String(
        required=True, metadata=describe("id of its entry in the log, which says what became of it", example=EXAMPLE_ID)
    )


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "notification_channels",
        __name__,
        url_prefix="/api/notifications/channels",
        description="Where messages to people go",
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, ChannelPage, example=example_page(EXAMPLE_CHANNEL))
    def list_notification_channels(query: dict[str, Any]) -> Response:
        """List notification channels

        The shared ones and the caller's own, by name; all of them for administrators.
        """
        statement = select(NotificationChannel).where(visible_channels(caller_id())).order_by(NotificationChannel.name)
        return sql_page_answer(query, statement, _present_all, NotificationChannel.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewChannel, location="json")
    @blueprint.response(201, ChannelSchema, example=EXAMPLE_CHANNEL)
    def add_notification_channel(body: dict[str, Any]) -> Response:
        """Create a notification channel

        Its address may hold passwords and tokens: no answer, log or entry of the audit shows it. 409 if the name is
        already used.
        """
        with _refused():
            made = add_channel(name=body["name"], url=body["url"], owner=_owner(body["owner"]), enabled=body["enabled"])
        return answer(_present(made), 201)

    @blueprint.route(CHANNEL_PATH)
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(200, ChannelSchema, example=EXAMPLE_CHANNEL)
    def show_notification_channel(channel_id: int) -> Response:
        """Show a notification channel"""
        return answer(_present(_find(channel_id)))

    @blueprint.route(CHANNEL_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(ChannelChange, location="json")
    @blueprint.response(200, ChannelSchema, example=EXAMPLE_CHANNEL)
    def change_notification_channel(body: dict[str, Any], channel_id: int) -> Response:
        """Change a notification channel

        409 if the name is already used.
        """
        channel = _find(channel_id)
        with _refused():
            if "owner" in body:
                body = {**body, "owner": _owner(body["owner"])}
            change_channel(channel, body)
        return answer(_present(channel))

    @blueprint.route(CHANNEL_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_notification_channel(channel_id: int) -> Response:
        """Delete a notification channel

        What waits for it is given up.
        """
        db.session.delete(_find(channel_id))
        db.session.commit()
        return Response(status=204)

    @blueprint.route(f"{CHANNEL_PATH}test/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(201, ChannelTest, example={"notice": EXAMPLE_ID})
    def try_notification_channel(channel_id: int) -> Response:
        """Send a test to a notification channel

        The worker sends it; the log says what became of it.
        """
        channel = _find(channel_id)
        return answer({"notice": put_test(database(), get_context().redis, channel, datetime.now(UTC))}, 201)

    return blueprint


def caller_id() -> int | None:
    """The id of the caller, as `visible_channels` takes it."""
    caller = current_caller()
    return None if caller.role is RoleName.ADMIN else caller.id


@contextmanager
def _refused() -> Iterator[None]:
    try:
        yield
    except ChannelError as error:
        if not error.field:
            abort(409, str(error))
        abort_body({error.field: [str(error)]})


def _owner(username: str | None) -> User | None:
    """The owner that was asked for. Raises ChannelError."""
    caller = current_caller()
    if username is None:
        return None
    if caller.role is not RoleName.ADMIN and username != caller.username:
        raise ChannelError("owner", "Only administrators make channels of others.")
    return find_owner(username)


def _find(channel_id: int) -> NotificationChannel:
    found = db.session.scalar(
        select(NotificationChannel).where(NotificationChannel.id == channel_id, visible_channels(caller_id()))
    )
    if found is None:
        abort(404, f"There is no notification channel {channel_id}.")
    return found


def _present_all(channels: list[NotificationChannel]) -> list[dict[str, Any]]:
    return [_present(channel) for channel in channels]


def _present(channel: NotificationChannel) -> dict[str, Any]:
    shown = {name: getattr(channel, name) for name in EXAMPLE_CHANNEL if name not in ("kind", "owner")}
    return {**shown, "kind": channel.schema, "owner": None if channel.owner is None else channel.owner.username}
