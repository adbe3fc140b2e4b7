"""The schemas of commands to devices, for their parameters and for the OpenAPI text."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_TIME, EXAMPLE_TYPE, text_field, time_field
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.api.http.time_range import RangeQuery
from greenpower.control.interlock import CONFIRMATION_SECONDS
from greenpower.datatype import Command
from greenpower.sql import CommandState

STATES = tuple(state.value for state in CommandState)
MAX_PARAMETERS = 16
EXAMPLE_STEPS = [
    {"state": "queued", "at": EXAMPLE_TIME, "detail": "by admin"},
    {"state": "sent", "at": EXAMPLE_TIME, "detail": ""},
    {"state": "answered", "at": EXAMPLE_TIME, "detail": "code 01"},
    {"state": "verified", "at": EXAMPLE_TIME, "detail": "read back as set"},
    {"state": "done", "at": EXAMPLE_TIME, "detail": "verified"},
]
EXAMPLE_COMMAND = {
    "id": 1,
    "device_id": EXAMPLE_DEVICE_ID,
    "type": EXAMPLE_TYPE,
    "command": "set_interval",
    "parameters": {"interval": 60},
    "requested_by": "admin",
    "state": "done",
    "verified": True,
    "detail": "verified",
    "answer": {},
    "created_at": EXAMPLE_TIME,
    "expires_at": EXAMPLE_TIME,
    "sent_at": EXAMPLE_TIME,
    "answered_at": EXAMPLE_TIME,
    "verified_at": EXAMPLE_TIME,
    "finished_at": EXAMPLE_TIME,
    "steps": EXAMPLE_STEPS,
}


def _state(what: str, **options: Any) -> ma.fields.String:
    return ma.fields.String(validate=ma.validate.OneOf(STATES), metadata=describe(what), **options)


class StepSchema(ma.Schema):
    """A step of a command."""

    state = _state("the new state", required=True)
    at = time_field("when, UTC")
    detail = ma.fields.String(required=True, metadata=describe("why, or by whom"))


class CommandSchema(ma.Schema):
    """A command to a device, and its state."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the command"))
    device_id = ma.fields.String(required=True, metadata=describe("id that the device sends"))
    type = ma.fields.String(required=True, metadata=describe("data type that declares the command"))
    command = ma.fields.String(required=True, metadata=describe("name of the command"))
    parameters = ma.fields.Dict(required=True, metadata=describe("as sent by the user"))
    requested_by = ma.fields.String(required=True, metadata=describe("user who sent it; `system`: sent automatically"))
    state = _state("state of the command; done, failed and expired are final", required=True)
    verified = ma.fields.Boolean(required=True, metadata=describe("whether reading back confirmed the new value"))
    detail = ma.fields.String(required=True, metadata=describe("details of the state"))
    answer = ma.fields.Dict(
        required=True, allow_none=True, metadata=describe("further values in the device's answer; null: no answer yet")
    )
    created_at = time_field("when it was requested, UTC")
    expires_at = time_field("when it expires if it is not done, UTC")
    sent_at = time_field("when the broker accepted it, UTC", null=True)
    answered_at = time_field("when the device answered, UTC", null=True)
    verified_at = time_field("when reading back confirmed it, UTC", null=True)
    finished_at = time_field("when it reached a final state, UTC", null=True)
    steps = ma.fields.List(ma.fields.Nested(StepSchema), required=True)


class CommandPage(PageSchema):
    """A page of commands."""

    results = ma.fields.List(ma.fields.Nested(CommandSchema), required=True)


class CommandQuery(PageQuery, RangeQuery):
    """Which commands, by the time of the request."""

    state = _state("only commands in this state")


class AuditQuery(CommandQuery):
    """Which commands, to all devices."""

    device_id = text_field("only to this device, by the id it sends, registered or not", 64, 1)
    requested_by = text_field("only those of this user; `system`: sent automatically", 150, 1)


class NewCommand(ma.Schema):
    """A command to send."""

    command = text_field("name of the command", 41, 1, example="set_interval", required=True)
    parameters = ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.Length(1, 41)),
        values=ma.fields.Raw(allow_none=True),
        load_default=dict,
        validate=ma.validate.Length(max=MAX_PARAMETERS),
        metadata=describe("as declared in `/api/data-types/`", example={"interval": 60}),
    )
    confirmation = text_field("for a command with an interlock: from the answer to the first request", 1_000, 1)


class ConfirmationSchema(ma.Schema):
    """The confirmation of a command with an interlock."""

    confirmation = ma.fields.String(required=True, metadata=describe("send the same request again, with this"))
    expires_in = ma.fields.Integer(
        required=True, metadata=describe("seconds for which it is valid, for one use", example=CONFIRMATION_SECONDS)
    )


class ParameterSchema(ma.Schema):
    """A parameter of a command."""

    name = ma.fields.String(required=True, metadata=describe("key in `parameters`", example="interval"))
    title = ma.fields.String(required=True, metadata=describe("title, for people"))
    kind = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(("integer", "boolean", "text")),
        metadata=describe("type of its values"),
    )
    unit = ma.fields.String(required=True, metadata=describe("unit; 1: none", example="s"))
    low = ma.fields.Integer(required=True, allow_none=True, metadata=describe("smallest value"))
    high = ma.fields.Integer(required=True, allow_none=True, metadata=describe("largest value"))
    choices = ma.fields.List(
        ma.fields.Raw(), required=True, metadata=describe("allowed values; empty: any within the limits")
    )


class DeclaredCommandSchema(ma.Schema):
    """A command of a data type."""

    name = ma.fields.String(required=True, metadata=describe("name of the command", example="set_interval"))
    title = ma.fields.String(required=True, metadata=describe("title, for people"))
    role = ma.fields.String(required=True, metadata=describe("lowest role that may send it", example="operator"))
    interlock = ma.fields.Boolean(required=True, metadata=describe("whether it needs a confirmation"))
    reads_back = ma.fields.Boolean(required=True, metadata=describe("whether it is verified by reading back"))
    expires_after = ma.fields.Integer(required=True, metadata=describe("seconds after which it expires"))
    parameters = ma.fields.List(ma.fields.Nested(ParameterSchema), required=True)


def present_declared(command: Command) -> dict[str, Any]:
    """A command as `/api/data-types/` shows it."""
    return {
        "name": command.name,
        "title": command.title,
        "role": command.role,
        "interlock": command.interlock,
        "reads_back": command.read_back is not None,
        "expires_after": command.expires_after,
        "parameters": [
            {
                "name": parameter.name,
                "title": parameter.title or parameter.name,
                "kind": parameter.kind,
                "unit": parameter.unit,
                "low": parameter.low,
                "high": parameter.high,
                "choices": list(parameter.choices),
            }
            for parameter in command.parameters
        ],
    }
