"""Fields of parameters and answers that several resources use: times, texts and lists.

What does not belong here: ranges of time in parameters (`greenpower.api.http.time_range`), fields that depend on a data
type (`greenpower.api.telemetry.parameters`).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from functools import cache
from typing import Any
from zoneinfo import available_timezones

import marshmallow as ma

from greenpower.api.http.blueprint import describe

# Examples in the OpenAPI text.
EXAMPLE_TIME = "2026-11-23T15:04:05.000Z"
EXAMPLE_ID = "6743c1f2a1b2c3d4e5f60718"
EXAMPLE_DEVICE_ID = "33B1225950027"
EXAMPLE_TYPE = "meter"
EXAMPLE_TOPIC = "site/meter"

MAX_DEVICES = 100
# Days beyond these are slips of the keyboard; at the ends of the calendar a zone may have no such moment.
FIRST_DAY, LAST_DAY = date(1900, 1, 1), date(9998, 12, 31)
USABLE_DAY = r"^(19[0-9]{2}|[2-8][0-9]{3}|9[0-8][0-9]{2}|99[0-8][0-9]|999[0-8])-"
MAX_ITEM_LENGTH = 64
# For the schema; `_one_line` has the last word (`$` accepts a final newline, in Python alone).
NO_CONTROL_CHARACTERS = r"^[^\x00-\x1f\x7f-\x9f]*$"


@cache
def _time_zones() -> frozenset[str]:
    return frozenset(available_timezones())


def time_zone_problem(name: str) -> str | None:
    """What is wrong with the name of a time zone, None if nothing is."""
    return None if name in _time_zones() else f"There is no time zone {name!r}. Give an IANA name such as Asia/Dhaka."


def time_field(what: str, *, null: bool = False) -> ma.fields.DateTime:
    """A time in an answer, always present: ISO 8601, UTC. what: its description; null: whether it may be null."""
    return ma.fields.DateTime(required=True, allow_none=null, metadata=describe(what, example=EXAMPLE_TIME))


def valid_from_field() -> ma.fields.Date:
    """In a body: the local day from which something is valid."""
    metadata = describe("local day from which it is valid", example="2026-01-01", pattern=USABLE_DAY)
    return ma.fields.Date(required=True, validate=_usable_day, metadata=metadata)


def _usable_day(day: date) -> None:
    if not FIRST_DAY <= day <= LAST_DAY:
        raise ma.ValidationError(f"Give a day from {FIRST_DAY} to {LAST_DAY}.")


class FullMatch(ma.validate.Regexp):
    """A text that a pattern describes whole, up to its last character: `$` also matches before a line break."""

    def __call__(self, value: Any) -> Any:
        pattern: re.Pattern[Any] = self.regex
        if pattern.fullmatch(value) is None:
            raise ma.ValidationError(self._format_error(value))
        return value


def text_field(
    what: str, max_length: int, min_length: int = 0, *, example: str = "", **options: Any
) -> ma.fields.String:
    """A text in a parameter, without control characters: they can break a log or a header. what: its description."""
    metadata = describe(what, **({"example": example} if example else {}))
    length = ma.validate.Length(min_length, max_length)
    checks: list[Callable[[str], object]] = [length, ma.validate.Regexp(NO_CONTROL_CHARACTERS), _one_line]
    return ma.fields.String(validate=checks, metadata=metadata, **options)


def _one_line(value: str) -> None:
    if "\n" in value:
        raise ma.ValidationError("Line breaks are not allowed.")


class WholeNumber(ma.fields.Integer):
    """An integer in a body. As in JSON Schema, 7.0 is one; a text is none."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(strict=True, **kwargs)

    def _validated(self, value: Any) -> int:
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        return super()._validated(value)


class ItemList(ma.fields.List[str]):
    """Texts, given as `a,b` or one by one; each is kept once, in order."""

    def __init__(self, *, max_items: int, **kwargs: Any) -> None:
        super().__init__(ma.fields.String(), load_default=(), **kwargs)
        self.max_items = max_items

    def _deserialize(self, value: Any, attr: str | None, data: Any, **kwargs: Any) -> list[str | None]:
        texts = [str(text) for text in super()._deserialize(value, attr, data, **kwargs)]
        items = list(dict.fromkeys(self.split(texts)))
        if len(items) > self.max_items:
            raise ma.ValidationError(f"{len(items)} items given; at most {self.max_items} are allowed.")
        self.check(items)
        return [*items]

    def split(self, texts: list[str]) -> list[str]:
        """The items of the values that were given."""
        return [item for text in texts for item in text.split(",")]

    def check(self, items: list[str]) -> None:
        """Raises ValidationError for items that cannot be used."""
        for item in items:
            if not 1 <= len(item) <= MAX_ITEM_LENGTH:
                text = f"{item[:MAX_ITEM_LENGTH]!r} has {len(item)} characters; 1 to {MAX_ITEM_LENGTH} are allowed."
                raise ma.ValidationError(text)
