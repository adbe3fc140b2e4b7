"""Points in time in answers: UTC, ISO 8601, with an example. For parameters see `greenpower.api.http.time_range`."""

from __future__ import annotations

import marshmallow as ma

from greenpower.api.http.blueprint import describe

STAMP = "2026-11-23T15:04:05.000Z"


def moment(what: str, *, null: bool = False) -> ma.fields.DateTime:
    """A field that is always there. what: its description; null: whether it may hold nothing."""
    return ma.fields.DateTime(required=True, allow_none=null, metadata=describe(what, example=STAMP))
