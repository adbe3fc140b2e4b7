"""Positions in lists as texts for callers: what a page ends with, so that the next one goes on right behind it.

A position names a row, not a number of rows: what is inserted or deleted meanwhile moves nothing.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import orjson

LONGEST = 400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TICK = timedelta(milliseconds=1)
FARTHEST = 253_402_300_799_999


def pack(*parts: str | int | bool | datetime) -> str:
    """A text for some values; times keep their milliseconds."""
    plain = [(part - EPOCH) // TICK if isinstance(part, datetime) else part for part in parts]
    return urlsafe_b64encode(orjson.dumps(plain)).rstrip(b"=").decode()


def unpack(text: str, *kinds: type) -> list[Any]:
    """The values of a text, of these kinds. Raises ValidationError for what `pack` did not make."""
    try:
        if len(text) > LONGEST:
            raise ValueError
        parts = orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        if not isinstance(parts, list) or len(parts) != len(kinds):
            raise ValueError
        return [_value(part, kind) for part, kind in zip(parts, kinds, strict=True)]
    except ValueError:
        raise ma.ValidationError("Not a position that an answer gave.") from None


def _value(part: Any, kind: type) -> Any:
    if kind is datetime:
        if type(part) is not int or abs(part) > FARTHEST:
            raise ValueError(part)
        return EPOCH + part * TICK
    if type(part) is not kind:
        raise ValueError(part)
    return part
