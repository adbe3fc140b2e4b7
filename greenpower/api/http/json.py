"""JSON in answers: numbers as they are stored, times as ISO 8601 in UTC with milliseconds and `Z`."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from bson import ObjectId
from bson.tz_util import utc
from flask import Flask, Response
from flask.json.provider import JSONProvider

TIME_LENGTH = len("2026-11-23T15:04:05.123")
ORJSON_OPTIONS = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_NON_STR_KEYS


def iso(value: datetime) -> str:
    """`2026-11-23T15:04:05.123Z`: always of one width, so that texts sort in order of time."""
    if value.tzinfo is utc:  # from MongoDB, as most are
        return value.isoformat("T", "milliseconds")[:TIME_LENGTH] + "Z"
    if value.tzinfo is not None:
        value = value.astimezone(UTC).replace(tzinfo=None)
    return value.isoformat("T", "milliseconds") + "Z"


def encode(value: Any) -> bytes:
    """The JSON text of a value. Raises TypeError for what has no JSON form."""
    return orjson.dumps(value, default=_default, option=ORJSON_OPTIONS)


def answer(value: Any, status: int = 200) -> Response:
    """A JSON response."""
    return Response(encode(value), status=status, mimetype="application/json")


def _default(value: Any) -> Any:
    if isinstance(value, datetime):
        return iso(value)
    if isinstance(value, ObjectId):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form")


class OrjsonProvider(JSONProvider):
    """Lets Flask use orjson."""

    def __init__(self, app: Flask) -> None:
        super().__init__(app)

    def dumps(self, obj: Any, **kwargs: Any) -> str:
        return encode(obj).decode()

    def loads(self, s: str | bytes, **kwargs: Any) -> Any:
        return orjson.loads(s)

    def response(self, *args: Any, **kwargs: Any) -> Response:
        return answer(self._prepare_response_obj(args, kwargs))
