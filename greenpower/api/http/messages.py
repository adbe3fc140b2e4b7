"""Messages of parameter checks that name the wrong value and what is allowed, in place of marshmallow's own.

Checks of lengths keep marshmallow's messages: their values may be passwords.
"""

from __future__ import annotations

from copy import copy
from typing import Any

import marshmallow as ma
from marshmallow import validate

# Long values are cut.
VALUE = "{input!r:.60}"
INVALID_MESSAGES: dict[type[ma.fields.Field[Any]], str] = {
    ma.fields.Integer: f"{VALUE} is not an integer.",
    ma.fields.Float: f"{VALUE} is not a number.",
    ma.fields.Boolean: f"{VALUE} is neither true nor false.",
    ma.fields.DateTime: f"{VALUE} is not an ISO 8601 time such as 2026-01-26T18:00:00+06:00.",
    ma.fields.Date: f"{VALUE} is not a date such as 2026-01-26.",
}


def name_wrong_values(schema: ma.Schema) -> None:
    """Let the errors of a schema name wrong values, and unknown parameters the known ones. Changes the schema."""
    known = ", ".join(field.data_key or name for name, field in schema.fields.items())
    schema.error_messages = {**schema.error_messages, "unknown": f"Unknown parameter. Known are {known}."}
    for field in schema.fields.values():
        _name_wrong_values(field)


def _name_wrong_values(field: ma.fields.Field[Any]) -> None:
    for kind, message in INVALID_MESSAGES.items():
        if isinstance(field, kind):
            field.error_messages = {**field.error_messages, "invalid": message}
    field.validators = [_telling(check) for check in field.validators]
    if isinstance(field, ma.fields.List):
        _name_wrong_values(field.inner)
    if isinstance(field, ma.fields.Nested):
        name_wrong_values(field.schema)


def _telling(check: Any) -> Any:
    """A check of the same kind whose message names the value."""
    if isinstance(check, validate.OneOf):
        message = f"{VALUE} is not one of {{choices}}."
    elif isinstance(check, validate.Range):
        bounds = [f"at least {check.min}"] if check.min is not None else []
        bounds += [f"at most {check.max}"] if check.max is not None else []
        message = f"{VALUE} is out of range: it must be {' and '.join(bounds)}."
    elif isinstance(check, validate.Regexp):
        told = check.error != check.default_message
        message = f"{VALUE} is not allowed. {check.error}" if told else f"{VALUE} does not match the pattern {{regex}}."
    else:
        return check
    check = copy(check)
    check.error = message
    return check
