"""`/api/alarms/kinds/`: which kinds of rules there are, and what each needs."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.alarms.kind import AlarmKind, ParamKind
from greenpower.alarms.kind_table import alarm_kinds
from greenpower.alarms.subject import SubjectKind
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.json import answer
from greenpower.sql import RoleName


class KindParamSchema(ma.Schema):
    """A parameter of a kind."""

    name = ma.fields.String(required=True, metadata=describe("name in `params`", example="above"))
    text = ma.fields.String(required=True, metadata=describe("what it says"))
    type = ma.fields.Enum(ParamKind, by_value=True, required=True, metadata=describe("what it is"))
    required = ma.fields.Boolean(required=True, metadata=describe("whether a rule needs it"))
    default = ma.fields.Raw(required=True, allow_none=True, metadata=describe("what holds where it is not given"))
    minimum = ma.fields.Float(required=True, allow_none=True, metadata=describe("least value"))
    maximum = ma.fields.Float(required=True, allow_none=True, metadata=describe("greatest value"))
    choices = ma.fields.List(ma.fields.String(), required=True, metadata=describe("what a choice may be"))


class KindSchema(ma.Schema):
    """A kind of rule."""

    name = ma.fields.String(required=True, metadata=describe("name, as a rule gives it", example="threshold"))
    title = ma.fields.String(required=True, metadata=describe("name for people"))
    text = ma.fields.String(required=True, metadata=describe("when it raises an alarm, and when that is cleared"))
    subjects = ma.fields.List(
        ma.fields.Enum(SubjectKind, by_value=True), required=True, metadata=describe("what a rule may be about")
    )
    needs_type = ma.fields.Boolean(
        required=True, metadata=describe("whether a rule about devices must name their data type")
    )
    params = ma.fields.List(ma.fields.Nested(KindParamSchema), required=True)
    example = ma.fields.Dict(required=True, metadata=describe("`params` that can be used"))


class KindList(ma.Schema):
    """All kinds."""

    results = ma.fields.List(ma.fields.Nested(KindSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("alarm-kinds", __name__, url_prefix="/api/alarms/kinds", description="Kinds of alarm rules")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.response(200, KindList)
    def list_alarm_kinds() -> Response:
        """List the kinds of alarm rules, with their parameters"""
        return with_etag(answer({"results": [present_kind(kind) for kind in alarm_kinds().values()]}))

    return blueprint


def present_kind(kind: AlarmKind) -> dict[str, Any]:
    """A kind as the API shows it."""
    return {
        "name": kind.name,
        "title": kind.title,
        "text": kind.text,
        "subjects": sorted(subject.value for subject in kind.subjects),
        "needs_type": kind.needs_type,
        "params": [
            {
                "name": item.name,
                "text": item.text,
                "type": item.kind.value,
                "required": item.required,
                "default": item.default,
                "minimum": item.minimum,
                "maximum": item.maximum,
                "choices": list(item.choices),
            }
            for item in kind.params
        ],
        "example": dict(kind.example),
    }
