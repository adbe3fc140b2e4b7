"""The bodies and answers of `/api/alarms/rules/`."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TIME, EXAMPLE_TYPE, WholeNumber, text_field, time_field
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.sql.alarm_rule import AlarmSeverity
from greenpower.sql.user import LARGEST_ID

MAX_RULE_DEVICES = 1_000
MAX_RULE_POINTS = 1_000
MAX_RULE_CHANNELS = 20
MAX_DELAY_SECONDS = 31 * 86_400
MAX_PARAMS = 20
EXAMPLE_RULE: dict[str, Any] = {
    "id": 1,
    "name": "Voltage out of range",
    "kind": "threshold",
    "params": {"field": "voltage_a", "above": 253.0, "below": 207.0, "hysteresis": 2.0},
    "type": EXAMPLE_TYPE,
    "devices": [],
    "zone_id": None,
    "points": [],
    "for_s": 60,
    "severity": "warning",
    "enabled": True,
    "text": "Call the electrician.",
    "channels": [],
    "since": EXAMPLE_TIME,
    "created_at": EXAMPLE_TIME,
    "created_by": "admin",
    "updated_at": EXAMPLE_TIME,
    "status": {"problem": "", "subjects": 12, "judged_at": EXAMPLE_TIME, "failures": 0},
}


def _numbers(what: str, most: int) -> ma.fields.List[Any]:
    return ma.fields.List(
        WholeNumber(validate=ma.validate.Range(1, LARGEST_ID)),
        validate=ma.validate.Length(max=most),
        metadata=describe(what),
    )


class AlarmRuleChange(ma.Schema):
    """Changes to a rule. Where what it judges changes, it judges readings from then on."""

    name = text_field("name of the rule, unique", 120, 1, example="Voltage out of range")
    params = ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.Length(1, 64)),
        validate=ma.validate.Length(max=MAX_PARAMS),
        metadata=describe("parameters of the kind, as `/api/alarms/kinds/` lists them", example=EXAMPLE_RULE["params"]),
    )
    type = text_field("data type of its devices; null: any", 64, 1, example=EXAMPLE_TYPE, allow_none=True)
    devices = ma.fields.List(
        text_field("id that a device sends", 64, 1),
        validate=ma.validate.Length(max=MAX_RULE_DEVICES),
        metadata=describe("only these devices, by the ids that they send; empty: all"),
    )
    zone_id = WholeNumber(
        allow_none=True,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("only what is in this service zone, or in a zone in it; null: anywhere", example=1),
    )
    points = _numbers("only these meter points, by their ids; empty: all", MAX_RULE_POINTS)
    for_s = WholeNumber(
        validate=ma.validate.Range(0, MAX_DELAY_SECONDS),
        metadata=describe("for how many seconds the limit must be passed before it is raised", example=60),
    )
    severity = ma.fields.Enum(AlarmSeverity, by_value=True, metadata=describe("how bad it is"))
    enabled = ma.fields.Boolean(truthy={True}, falsy={False}, metadata=describe("whether it is judged"))
    text = text_field("what people are told, such as what to do", 500, example="Call the electrician.")
    channels = _numbers("notification channels on which people are told, by their ids", MAX_RULE_CHANNELS)


class NewAlarmRule(AlarmRuleChange):
    """A new rule."""

    name = text_field("name of the rule, unique", 120, 1, example="Voltage out of range", required=True)
    kind = text_field("kind, as `/api/alarms/kinds/` lists them", 64, 1, example="threshold", required=True)


class AlarmRuleStatus(ma.Schema):
    """How a rule does."""

    problem = ma.fields.String(required=True, metadata=describe("why it cannot be judged; empty: it can", example=""))
    subjects = ma.fields.Integer(
        required=True, metadata=describe("registered devices, points or zones that it is about", example=12)
    )
    judged_at = time_field("when this was noted, UTC")
    failures = ma.fields.Integer(required=True, metadata=describe("how often it could not be judged", example=0))


class AlarmRuleSchema(ma.Schema):
    """A rule."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the rule"))
    name = ma.fields.String(required=True, metadata=describe("name of the rule"))
    kind = ma.fields.String(required=True, metadata=describe("kind of the rule", example="threshold"))
    params = ma.fields.Dict(required=True, metadata=describe("parameters of the kind"))
    type = ma.fields.String(required=True, allow_none=True, metadata=describe("data type; null: any"))
    devices = ma.fields.List(ma.fields.String(), required=True, metadata=describe("only these devices; empty: all"))
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("only in this service zone"))
    points = ma.fields.List(ma.fields.Integer(), required=True, metadata=describe("only these points; empty: all"))
    for_s = ma.fields.Integer(required=True, metadata=describe("seconds for which the limit must be passed"))
    severity = ma.fields.Enum(AlarmSeverity, by_value=True, required=True, metadata=describe("how bad it is"))
    enabled = ma.fields.Boolean(required=True, metadata=describe("whether it is judged"))
    text = ma.fields.String(required=True, metadata=describe("what people are told"))
    channels = ma.fields.List(ma.fields.Integer(), required=True, metadata=describe("ids of notification channels"))
    since = time_field("what is of earlier times is not judged, UTC")
    created_at = time_field("when it was made, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))
    updated_at = time_field("when it was last changed, UTC")
    status = ma.fields.Nested(
        AlarmRuleStatus, required=True, allow_none=True, metadata=describe("null: not judged yet, or disabled")
    )


class AlarmRulePage(PageSchema):
    """A page of rules."""

    results = ma.fields.List(ma.fields.Nested(AlarmRuleSchema), required=True)


class AlarmRuleQuery(PageQuery):
    """Which rules."""

    kind = text_field("only rules of this kind", 64, 1)
    enabled = ma.fields.Boolean(metadata=describe("only rules that are, or are not, enabled"))
