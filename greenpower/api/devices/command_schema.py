"""The schemas of commands to devices, for their parameters and for the OpenAPI text."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TIME, text_field, time_field
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.api.http.time_range import RangeQuery
from greenpower.api.telemetry.schema import DEVICE, TYPE
from greenpower.control.interlock import SECONDS
from greenpower.datatype import Command
from greenpower.sql import CommandState

STATES = tuple(state.value for state in CommandState)
MOST_PARAMETERS = 16
STEPS = [
    {"state": "queued", "at": EXAMPLE_TIME, "detail": "by admin"},
    {"state": "sent", "at": EXAMPLE_TIME, "detail": ""},
    {"state": "answered", "at": EXAMPLE_TIME, "detail": "code 01"},
    {"state": "verified", "at": EXAMPLE_TIME, "detail": "read back as set"},
    {"state": "done", "at": EXAMPLE_TIME, "detail": "verified"},
]
EXAMPLE_COMMAND = {
    "id": 1,
    "device_id": DEVICE,
    "type": TYPE,
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
    "steps": STEPS,
}


def _state(what: str, **options: Any) -> ma.fields.String:
    return ma.fields.String(validate=ma.validate.OneOf(STATES), metadata=describe(what), **options)


class StepSchema(ma.Schema):
    """A step of a command."""

    state = _state("the state it came to", required=True)
    at = time_field("when, UTC")
    detail = ma.fields.String(required=True, metadata=describe("why, or by whom"))


class CommandSchema(ma.Schema):
    """A command to a device, and what became of it."""

    id = ma.fields.Integer(required=True, metadata=describe("its number"))
    device_id = ma.fields.String(required=True, metadata=describe("the device's id on the wire"))
    type = ma.fields.String(required=True, metadata=describe("the data type that declares it"))
    command = ma.fields.String(required=True, metadata=describe("its name"))
    parameters = ma.fields.Dict(required=True, metadata=describe("as given"))
    requested_by = ma.fields.String(required=True, metadata=describe("who gave it; `system`: nobody"))
    state = _state("done, failed and expired are final", required=True)
    verified = ma.fields.Boolean(required=True, metadata=describe("whether it was read back as set"))
    detail = ma.fields.String(required=True, metadata=describe("more about the state"))
    answer = ma.fields.Dict(
        required=True, allow_none=True, metadata=describe("what the device said beside yes or no; null: nothing yet")
    )
    created_at = time_field("when it was given, UTC")
    expires_at = time_field("by when it must be done, UTC")
    sent_at = time_field("when the broker had it, UTC", null=True)
    answered_at = time_field("when its answer was taken, UTC", null=True)
    verified_at = time_field("when it was read back as set, UTC", null=True)
    finished_at = time_field("when it was settled, UTC", null=True)
    steps = ma.fields.List(ma.fields.Nested(StepSchema), required=True)


class CommandPage(PageSchema):
    """A page of commands."""

    results = ma.fields.List(ma.fields.Nested(CommandSchema), required=True)


class CommandQuery(PageQuery, RangeQuery):
    """Which commands, by when they were given."""

    state = _state("only of this state")


class AuditQuery(CommandQuery):
    """Which commands, to whatever device."""

    device_id = text_field("only to this device, by its id on the wire, registered or not", 64, 1)
    requested_by = text_field("only those of this user; `system`: those of nobody", 150, 1)


class NewCommand(ma.Schema):
    """A command to be given."""

    command = text_field("its name", 41, 1, example="set_interval", required=True)
    parameters = ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.Length(1, 41)),
        values=ma.fields.Raw(allow_none=True),
        load_default=dict,
        validate=ma.validate.Length(max=MOST_PARAMETERS),
        metadata=describe("as its declaration in `/api/data-types/` says", example={"interval": 60}),
    )
    confirmation = text_field("for a command with an interlock: from the answer to the first request", 1_000, 1)


class ConfirmationSchema(ma.Schema):
    """What a command with an interlock is confirmed with."""

    confirmation = ma.fields.String(required=True, metadata=describe("send the same request again, with this"))
    expires_in = ma.fields.Integer(
        required=True, metadata=describe("seconds for which it is good, once", example=SECONDS)
    )


class ParameterSchema(ma.Schema):
    """A parameter of a command."""

    name = ma.fields.String(required=True, metadata=describe("its key in `parameters`", example="interval"))
    title = ma.fields.String(required=True, metadata=describe("for people"))
    kind = ma.fields.String(
        required=True,
        validate=ma.validate.OneOf(("integer", "boolean", "text")),
        metadata=describe("what its values are"),
    )
    unit = ma.fields.String(required=True, metadata=describe("its unit; 1: none", example="s"))
    low = ma.fields.Integer(required=True, allow_none=True, metadata=describe("the least"))
    high = ma.fields.Integer(required=True, allow_none=True, metadata=describe("the greatest"))
    choices = ma.fields.List(
        ma.fields.Raw(), required=True, metadata=describe("the only values; empty: any within the limits")
    )


class DeclaredCommandSchema(ma.Schema):
    """A command that devices of a type take."""

    name = ma.fields.String(required=True, metadata=describe("its name", example="set_interval"))
    title = ma.fields.String(required=True, metadata=describe("for people"))
    role = ma.fields.String(required=True, metadata=describe("the least role that may give it", example="operator"))
    interlock = ma.fields.Boolean(required=True, metadata=describe("whether it must be confirmed"))
    reads_back = ma.fields.Boolean(required=True, metadata=describe("whether it is verified by reading back"))
    expires_after = ma.fields.Integer(required=True, metadata=describe("seconds in which it must be done"))
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
