"""`/api/alarms/silences/`: times for which people are not told of some alarms."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select

from greenpower.api.alarms.wake import wake_alarms
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import (
    EXAMPLE_DEVICE_ID,
    EXAMPLE_TIME,
    EXAMPLE_TYPE,
    WholeNumber,
    text_field,
    time_field,
)
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.sql import AlarmSilence, RoleName, StoredAlarmRule
from greenpower.sql.actor import current_actor
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):silence_id>/"
EXAMPLE_SILENCE = {
    "id": 1,
    "rule_id": 1,
    "subject": f"{EXAMPLE_TYPE}|{EXAMPLE_DEVICE_ID}",
    "begins_at": EXAMPLE_TIME,
    "ends_at": None,
    "reason": "Maintenance",
    "created_at": EXAMPLE_TIME,
    "created_by": "admin",
}


def _time(what: str, **options: Any) -> ma.fields.AwareDateTime:
    return ma.fields.AwareDateTime(metadata=describe(what, example=EXAMPLE_TIME), **options)


class SilenceChange(ma.Schema):
    """Changes to a silence."""

    ends_at = _time("when it ends; null: when somebody ends it", allow_none=True)
    reason = text_field("why", 300, example="Maintenance")


class NewSilence(SilenceChange):
    """A new silence."""

    rule_id = WholeNumber(
        allow_none=True,
        load_default=None,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("only alarms of this rule; null: of all", example=1),
    )
    subject = text_field(
        "only alarms about this subject, as alarms name it: `type|device`, `point|5` or `zone|2`; null: about all",
        140,
        3,
        example=f"{EXAMPLE_TYPE}|{EXAMPLE_DEVICE_ID}",
        allow_none=True,
        load_default=None,
    )
    begins_at = _time("when it begins; default: now")


class SilenceSchema(ma.Schema):
    """A silence."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the silence"))
    rule_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("the rule; null: all"))
    subject = ma.fields.String(required=True, allow_none=True, metadata=describe("the subject; null: all"))
    begins_at = time_field("when it begins, UTC")
    ends_at = time_field("when it ends, UTC; null: when somebody ends it", null=True)
    reason = ma.fields.String(required=True, metadata=describe("why"))
    created_at = time_field("when it was made, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))


class SilencePage(PageSchema):
    """A page of silences."""

    results = ma.fields.List(ma.fields.Nested(SilenceSchema), required=True)


class SilenceQuery(PageQuery):
    """Which silences."""

    active = ma.fields.Boolean(metadata=describe("only those that hold now, or that do not"))


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("silences", __name__, url_prefix="/api/alarms/silences", description="Silences of alarms")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(422, 503)
    @blueprint.arguments(SilenceQuery)
    @blueprint.response(200, SilencePage, example=example_page(EXAMPLE_SILENCE))
    def list_silences(query: dict[str, Any]) -> Response:
        """List silences of alarms

        Newest first.
        """
        statement = select(AlarmSilence).order_by(AlarmSilence.id.desc())
        if "active" in query:
            time = now()
            ends = AlarmSilence.ends_at.is_(None) | (AlarmSilence.ends_at > time)
            holds = (AlarmSilence.begins_at <= time) & ends
            statement = statement.where(holds if query["active"] else ~holds)
        return sql_page_answer(query, statement, _present_all, AlarmSilence.id, descending=True)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 413, 415, 422, 503)
    @blueprint.arguments(NewSilence, location="json")
    @blueprint.response(201, SilenceSchema, example=EXAMPLE_SILENCE)
    def add_silence(body: dict[str, Any]) -> Response:
        """Silence alarms for a time

        Alarms that are raised meanwhile are kept and shown; people are told of one that is still open when the silence
        ends.
        """
        if body["rule_id"] is not None and db.session.get(StoredAlarmRule, body["rule_id"]) is None:
            abort_body({"rule_id": [f"There is no rule {body['rule_id']}."]})
        actor = current_actor()
        silence = AlarmSilence(
            rule_id=body["rule_id"],
            subject=body["subject"],
            begins_at=body.get("begins_at") or now(),
            ends_at=body.get("ends_at"),
            reason=body.get("reason", ""),
            created_by=None if actor is None else actor.name,
        )
        _check(silence)
        db.session.add(silence)
        db.session.commit()
        return answer(_present_all([silence])[0], 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.errors(404, 503)
    @blueprint.response(200, SilenceSchema, example=EXAMPLE_SILENCE)
    def show_silence(silence_id: int) -> Response:
        """Show a silence of alarms"""
        return answer(_present_all([_find(silence_id)])[0])

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 413, 415, 422, 503)
    @blueprint.arguments(SilenceChange, location="json")
    @blueprint.response(200, SilenceSchema, example=EXAMPLE_SILENCE)
    def change_silence(body: dict[str, Any], silence_id: int) -> Response:
        """Change when a silence ends, or why it is"""
        silence = _find(silence_id)
        for name, value in body.items():
            setattr(silence, name, value)
        _check(silence)
        db.session.commit()
        wake_alarms()
        return answer(_present_all([silence])[0])

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_silence(silence_id: int) -> Response:
        """End a silence and delete it

        People are told of the alarms that are still open.
        """
        db.session.delete(_find(silence_id))
        db.session.commit()
        wake_alarms()
        return Response(status=204)

    return blueprint


def _check(silence: AlarmSilence) -> None:
    if silence.ends_at is not None and silence.ends_at <= silence.begins_at:
        db.session.rollback()
        abort_body({"ends_at": ["A silence ends after it begins."]})


def _present_all(silences: list[AlarmSilence]) -> list[dict[str, Any]]:
    return [{name: getattr(silence, name) for name in EXAMPLE_SILENCE} for silence in silences]


def _find(silence_id: int) -> AlarmSilence:
    silence = db.session.get(AlarmSilence, silence_id)
    if silence is None:
        abort(404, f"There is no silence {silence_id}.")
    return silence
