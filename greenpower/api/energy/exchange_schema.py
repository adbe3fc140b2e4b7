"""The schemas of meter exchanges, for their parameters and for the OpenAPI text."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_ID, EXAMPLE_TIME, EXAMPLE_TYPE, text_field, time_field
from greenpower.api.http.paging import PageSchema
from greenpower.datatype.claim import is_device_id

MAX_COUNTERS = 64
MAX_TYPES = 32
MAX_REASON_LENGTH = 300
AT_DESCRIPTION = "when the meter was replaced, UTC if no offset is given; readings from then on are from the new meter"
EXAMPLE_REGISTERS = {EXAMPLE_TYPE: {"zygsz": {"last": 48_211.7, "first": 0.2}}}


def _reason(**options: Any) -> ma.fields.String:
    return text_field("reason, kept with it", MAX_REASON_LENGTH, 1, example="meter replaced", required=True, **options)


def _at(**options: Any) -> ma.fields.AwareDateTime:
    return ma.fields.AwareDateTime(default_timezone=UTC, metadata=describe(AT_DESCRIPTION), **options)


def _is_device(value: str) -> None:
    if not is_device_id(value):
        raise ma.ValidationError(f"{value!r} is not a valid device id.")


def _new_device(**options: Any) -> ma.fields.String:
    what = "id that the new meter sends; not given: the same as the old one's"
    return text_field(what, 64, 1, example=EXAMPLE_DEVICE_ID, **options)


class ExchangedRegisters(ma.Schema):
    """Registers of the old and the new meter."""

    last = ma.fields.Float(
        load_default=None, allow_none=True, metadata=describe("last value of the old meter; null: the last one it sent")
    )
    first = ma.fields.Float(
        load_default=None,
        allow_none=True,
        metadata=describe("first value of the new meter; null: the first one it sent"),
    )


def _registers(**options: Any) -> ma.fields.Dict:
    of_type = ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.Length(1, 64)),
        values=ma.fields.Nested(ExchangedRegisters),
        validate=ma.validate.Length(max=MAX_COUNTERS),
    )
    return ma.fields.Dict(
        keys=ma.fields.String(validate=ma.validate.Length(1, 64)),
        values=of_type,
        metadata=describe("registers by data type and counter", example=EXAMPLE_REGISTERS),
        **options,
    )


class ExchangeQuery(ma.Schema):
    """Which exchange is proposed."""

    at = _at(required=True)
    new_device_id = _new_device(load_default=None)


class NewExchange(ma.Schema):
    """A meter that was replaced by another."""

    at = _at(required=True)
    readings = _registers(load_default=dict, validate=ma.validate.Length(max=MAX_TYPES))
    new_device_id = _new_device(load_default=None, allow_none=True)
    reason = _reason()

    @ma.validates("new_device_id")
    def check_device(self, value: str | None, data_key: str = "") -> None:
        """A device id must be one that a device can send."""
        if value is not None:
            _is_device(value)


class ExchangeMove(ma.Schema):
    """An exchange that was at another time."""

    at = _at(required=True)
    reason = _reason()


class Revocation(ma.Schema):
    """Why an exchange is revoked."""

    reason = _reason()


class SentRegister(ma.Schema):
    """A register that a device sent."""

    value = ma.fields.Float(required=True, metadata=describe("its value"))
    at = time_field("when, UTC")


class ProposedRegister(ma.Schema):
    """A counter at the time of an exchange."""

    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    field = ma.fields.String(required=True, metadata=describe("the counter", example="zygsz"))
    unit = ma.fields.String(required=True, metadata=describe("its unit", example="kWh"))
    before = ma.fields.Nested(
        SentRegister, required=True, allow_none=True, metadata=describe("last one that the old meter sent")
    )
    after = ma.fields.Nested(
        SentRegister, required=True, allow_none=True, metadata=describe("first one that the new meter sent")
    )
    change = ma.fields.Float(
        required=True,
        metadata=describe(
            "what the exchange adds to the energy counted now if `last` is `before` and `first` is `after`; "
            "`last` - `before` and `after` - `first` come on top",
            example=0.2,
        ),
    )


class ExchangeProposal(ma.Schema):
    """What an exchange at a time would be."""

    at = time_field("time of the exchange, UTC")
    whole_from = time_field("earliest time of which an exchange can be entered: older readings have expired, UTC")
    new_device_id = ma.fields.String(
        required=True, allow_none=True, metadata=describe("id of the new meter; null: that of the old one")
    )
    results = ma.fields.List(ma.fields.Nested(ProposedRegister), required=True)


class ExchangeSchema(ma.Schema):
    """A meter exchange."""

    id = ma.fields.String(required=True, metadata=describe("id of the exchange", example=EXAMPLE_ID))
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    new_device_id = ma.fields.String(
        required=True, allow_none=True, metadata=describe("id of the new meter; null: that of the old one")
    )
    at = time_field("time of the exchange, UTC")
    readings = _registers(required=True)
    reason = ma.fields.String(required=True, metadata=describe("reason given"))
    made_by = ma.fields.String(required=True, metadata=describe("user who entered it", example="admin"))
    made_at = time_field("when it was entered, UTC")
    applied = ma.fields.Boolean(
        required=True, metadata=describe("whether all that follows from it is written; false for a moment at most")
    )
    revoked_by = ma.fields.String(required=True, allow_none=True, metadata=describe("user who revoked it; null: none"))
    revoked_at = time_field("when it was revoked, UTC; null: it is in force", null=True)
    revoke_reason = ma.fields.String(required=True, allow_none=True, metadata=describe("reason given for that"))


class ExchangePage(PageSchema):
    """A page of exchanges."""

    results = ma.fields.List(ma.fields.Nested(ExchangeSchema), required=True)


EXAMPLE_EXCHANGE = {
    "id": EXAMPLE_ID,
    "device_id": EXAMPLE_DEVICE_ID,
    "new_device_id": None,
    "at": EXAMPLE_TIME,
    "readings": EXAMPLE_REGISTERS,
    "reason": "meter replaced",
    "made_by": "admin",
    "made_at": EXAMPLE_TIME,
    "applied": True,
    "revoked_by": None,
    "revoked_at": None,
    "revoke_reason": None,
}
