"""Positions in lists as texts for callers: what a page ends with, so that the next one continues right after it.

A position names a row, not a number of rows: rows that are inserted or deleted meanwhile do not move it.
"""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any

import marshmallow as ma
import orjson

from greenpower.api.http.blueprint import describe

MAX_CURSOR_LENGTH = 400
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
NO_COUNT = -1
LAST_MILLISECOND = 253_402_300_799_999  # of the year 9999


class CursorField(ma.fields.String):
    """A position in a parameter. Loads to the values that `pack` was given; to None for the empty text.

    kinds: types of the values; none for any texts and numbers, which the view checks. counted: whether a last value
    follows, the settled count of the list, `NO_COUNT` for none; positions of older answers have no such value, and load
    as those without a count.
    """

    def __init__(self, description: str, *kinds: type, counted: bool = False) -> None:
        super().__init__(metadata=describe(description, maxLength=MAX_CURSOR_LENGTH))
        self.kinds = kinds
        self.counted = counted

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> Any:
        text = super()._deserialize(value, attr, data, **kwargs)
        if not text:
            return None
        return unpack(text, *self.kinds, counted=self.counted) if self.kinds else unpack_any(text)


def pack(*parts: str | int | bool | datetime) -> str:
    """A text for some values; times keep their milliseconds."""
    plain = [(part - EPOCH) // MILLISECOND if isinstance(part, datetime) else part for part in parts]
    return urlsafe_b64encode(orjson.dumps(plain)).rstrip(b"=").decode()


def unpack(text: str, *kinds: type, counted: bool = False) -> list[Any]:
    """The values of a text, of these types. Raises ValidationError for what `pack` did not make."""
    parts = _decode(text)
    if counted and isinstance(parts, list):
        parts = [*parts, NO_COUNT] if len(parts) == len(kinds) else parts
        kinds = (*kinds, int)
    if not isinstance(parts, list) or len(parts) != len(kinds) or not all(map(_fits, parts, kinds)):
        raise _wrong(text)
    return [EPOCH + part * MILLISECOND if kind is datetime else part for part, kind in zip(parts, kinds, strict=True)]


def unpack_any(text: str) -> list[Any]:
    """The values of a text, whatever texts and numbers. Raises ValidationError for what `pack` did not make."""
    parts = _decode(text)
    if not isinstance(parts, list) or not all(type(part) in (str, int) for part in parts):
        raise _wrong(text)
    return parts


def _wrong(text: str) -> ma.ValidationError:
    return ma.ValidationError(f"{text[:40]!r} is not a position from an earlier answer.")


def _decode(text: str) -> Any:
    """The JSON value in a text; None for what is none."""
    if len(text) > MAX_CURSOR_LENGTH:
        return None
    try:
        return orjson.loads(urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    except ValueError:
        return None


def _fits(part: Any, kind: type) -> bool:
    if kind is datetime:
        return type(part) is int and abs(part) <= LAST_MILLISECOND
    return type(part) is kind
