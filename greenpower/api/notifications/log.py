"""`/api/notifications/log/`: what went where and when, what waits, and what was given up."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from sqlalchemy import select

from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database
from greenpower.api.http.fields import EXAMPLE_ID, EXAMPLE_TIME, time_field
from greenpower.api.http.paging import PageSchema, example_page
from greenpower.api.http.timed_list import TimedPageQuery, timed_page_answer
from greenpower.api.notifications.channel_rules import channel_names, visible_channels
from greenpower.api.notifications.channels import caller_id
from greenpower.mongo.client import Document
from greenpower.mongo.notifications.document import NoticeState
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.notice import NoticeSeverity
from greenpower.sql import NotificationChannel, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

SHOWN_AS_STORED = ("key", "channel_id", "subject", "text", "severity", "state", "attempts", "created_at")
EXAMPLE_NOTICE = {
    "id": EXAMPLE_ID,
    "key": "alarm/17/2",
    "channel_id": 1,
    "channel": "Energy team",
    "subject": "Press 4: demand above 80 kW",
    "text": "Since 15:00 the demand of Press 4 has been above 80 kW.",
    "severity": NoticeSeverity.WARNING.value,
    "attachments": [],
    "state": NoticeState.SENT.value,
    "attempts": 1,
    "created_at": EXAMPLE_TIME,
    "tried_at": EXAMPLE_TIME,
    "next_try": None,
    "done_at": EXAMPLE_TIME,
    "said": "Sent Email to energy@example.org",
    "message": "5b6f0c1e2d3a4b5c6d7e8f9012345678/6743c1f2a1b2c3d4e5f60718",
}


class AttachedSchema(ma.Schema):
    """A file of a notice."""

    name = ma.fields.String(required=True, metadata=describe("name of the file", example="report.pdf"))
    media_type = ma.fields.String(required=True, metadata=describe("its type", example="application/pdf"))
    bytes = ma.fields.Integer(required=True, metadata=describe("its size"))


class NoticeSchema(ma.Schema):
    """A notice to one channel."""

    id = ma.fields.String(required=True, metadata=describe("id of the notice", example=EXAMPLE_ID))
    key = ma.fields.String(required=True, metadata=describe("what it is about; there is one for each channel"))
    channel_id = ma.fields.Integer(required=True, metadata=describe("id of the channel"))
    channel = ma.fields.String(
        required=True, allow_none=True, metadata=describe("name of the channel; null: it was deleted")
    )
    subject = ma.fields.String(required=True, metadata=describe("subject"))
    text = ma.fields.String(required=True, metadata=describe("text"))
    severity = ma.fields.Enum(NoticeSeverity, by_value=True, required=True, metadata=describe("how much it matters"))
    attachments = ma.fields.List(ma.fields.Nested(AttachedSchema), required=True, metadata=describe("its files"))
    state = ma.fields.Enum(NoticeState, by_value=True, required=True, metadata=describe("how far it is"))
    attempts = ma.fields.Integer(required=True, metadata=describe("tries so far"))
    created_at = time_field("when it was put into the outbox, UTC")
    tried_at = time_field("when it was last tried, UTC; null: not yet", null=True)
    next_try = time_field("when it is due, UTC; null: it waits no longer", null=True)
    done_at = time_field("when it was sent or given up, UTC; null: it waits", null=True)
    said = ma.fields.String(
        required=True, allow_none=True, metadata=describe("what became of the last try; null: it was not tried")
    )
    message = ma.fields.String(
        required=True, allow_none=True, metadata=describe("the same for all notices that went out as one message")
    )


class NoticePage(PageSchema):
    """A page of notices."""

    results = ma.fields.List(ma.fields.Nested(NoticeSchema), required=True)


class NoticeQuery(TimedPageQuery):
    """Which notices."""

    channel_id = ma.fields.Integer(
        validate=ma.validate.Range(1, LARGEST_ID), metadata=describe("only those to this channel")
    )
    state = ma.fields.Enum(NoticeState, by_value=True, metadata=describe("only those that are so far"))


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "notification_log", __name__, url_prefix="/api/notifications/log", description="What was sent to people"
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(422, 503)
    @blueprint.arguments(NoticeQuery)
    @blueprint.response(200, NoticePage, example=example_page(EXAMPLE_NOTICE))
    def list_notices(query: dict[str, Any]) -> Response:
        """List notices

        The newest first, of the channels that the caller sees. Kept for `MONGO_NOTIFICATIONS_TTL_SECONDS` after they
        were sent or given up.
        """
        names, user_id = channel_names(), caller_id()
        where: Document = {}
        if "state" in query:
            where["state"] = query["state"].value
        if "channel_id" in query:
            where["channel_id"] = query["channel_id"]
        if user_id is not None:
            mine = set(db.session.scalars(select(NotificationChannel.id).where(visible_channels(user_id))))
            where["channel_id"] = {"$in": sorted(mine & {query["channel_id"]} if "channel_id" in query else mine)}
        return timed_page_answer(
            query,
            database()[NOTIFICATIONS],
            where,
            lambda row: present_notice(row, names),
            by="created_at",
            ranged=False,
        )

    return blueprint


def present_notice(row: Document, names: dict[int, str]) -> dict[str, Any]:
    """A notice as the API shows it, without its files."""
    waits = row["state"] == NoticeState.WAITING
    return {
        "id": str(row["_id"]),
        **{name: row[name] for name in SHOWN_AS_STORED},
        "channel": names.get(row["channel_id"]),
        "attachments": [{name: file[name] for name in ("name", "media_type", "bytes")} for file in row["attachments"]],
        "next_try": row["next_try"] if waits else None,
        **{name: row.get(name) for name in ("tried_at", "done_at", "said", "message")},
    }
