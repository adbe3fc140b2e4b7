"""Device stamps: from a device's text or number to a datetime. Ingest decides whether the device's clock is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Literal, get_args

from greenpower.datatype.error import FrameError

COMPACT = re.compile(r"[0-9]{14}")
ISO_8601 = re.compile(
    r"([0-9]{4}-?[0-9]{2}-?[0-9]{2}|[0-9]{4}-?W[0-9]{2}-?[1-7])[T ][0-9:.,]{2,20}( ?(Z|UTC|GMT|[+-][0-9:]{2,9}))?",
    re.IGNORECASE,
)
NAMED_UTC = re.compile(r" ?(UTC|GMT|Z)$")
DIGITS = re.compile(r"[0-9]{1,20}(\.[0-9]{1,12})?")
#: texts of so many digits are epoch seconds and milliseconds; other lengths are more likely a compact stamp cut short
EPOCH_DIGITS = (10, 13)
#: no stamp is longer; this also bounds the size of the cache
MAX_STAMP_CHARACTERS = 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: outside these years a stamp cannot be converted between zones, or no meter can mean it
FIRST_YEAR, LAST_YEAR = 1970, 9998
LAST_MILLISECOND = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1) - 1

#: how devices send the time: `auto` tells the forms apart; the others count from 1970 in a unit
TimeForm = Literal["auto", "s", "ms", "us", "ns"]
TIME_FORMS: tuple[TimeForm, ...] = get_args(TimeForm)
MICROSECONDS = {"s": 1_000_000, "ms": 1_000, "us": 1}
# From 1973 to 5138 in each unit. A compact stamp sent as a number lies between milliseconds and microseconds.
FIRST_BY_UNIT: tuple[tuple[TimeForm, int], ...] = (("ns", 10**17), ("us", 10**14), ("ms", 10**11), ("s", 0))
FIRST_COMPACT, LAST_COMPACT = 19700101_000000, 99991231_235959


def parse_stamp(text: str) -> datetime:
    """A device stamp: `YYYYMMDDhhmmss` (naive) or ISO 8601 (aware if it has an offset). Raises FrameError bad-time.

    A fraction of a second is cut after milliseconds.
    """
    if len(text) > MAX_STAMP_CHARACTERS:
        raise FrameError("bad-time", f"{text[:MAX_STAMP_CHARACTERS]!a} …, {len(text)} characters")
    return _parse(text)


def parse_time(value: object, form: TimeForm = "auto") -> datetime:
    """A device stamp as text or number. Raises FrameError bad-time.

    With `auto` a text is what `parse_stamp` reads, or 10 or 13 digits of epoch seconds or milliseconds. A number is a
    count since 1970 whose unit shows in its size: seconds below 10¹¹, milliseconds below 10¹⁴ (from 1973 on),
    microseconds below 10¹⁷, nanoseconds above; a number of 14 digits that is a date is `YYYYMMDDhhmmss`. With a unit it
    is a count in that unit, from 0 on, as number or text. Counts are aware, and cut after milliseconds.
    """
    if isinstance(value, str):
        if form == "auto" and (len(value.partition(".")[0]) not in EPOCH_DIGITS or not DIGITS.fullmatch(value)):
            return parse_stamp(value)
        if len(value) > MAX_STAMP_CHARACTERS or not DIGITS.fullmatch(value):
            raise FrameError("bad-time", f"{value!a:.40} is not a number")
        value = float(value) if "." in value else int(value)
    if type(value) is float and value.is_integer():
        value = int(value)
    if not (type(value) is int or type(value) is float) or not 0 <= value < 10**20:
        raise FrameError("bad-time", f"{value!a:.40} is not a time")
    if form == "auto":
        if type(value) is int and FIRST_COMPACT <= value <= LAST_COMPACT:
            return parse_stamp(str(value))
        form = next(unit for unit, first in FIRST_BY_UNIT if value >= first)
    return _since_1970(value, form)


def _since_1970(count: int | float, unit: str) -> datetime:
    """The time of a count, cut after milliseconds."""
    if unit == "ns":
        milliseconds = int(count) // 1_000_000
    elif type(count) is int:
        milliseconds = count * MICROSECONDS[unit] // 1000
    else:
        # Microseconds first: 1795132800.123 is a little less than that in binary.
        milliseconds = round(count * MICROSECONDS[unit]) // 1000
    if milliseconds > LAST_MILLISECOND:
        raise FrameError("bad-time", f"{count} {unit} since 1970 is after the year {LAST_YEAR}")
    return EPOCH + timedelta(milliseconds=milliseconds)


def parse_epoch(milliseconds: object) -> datetime:
    """A stamp in milliseconds since 1970, a whole number or a text of digits; aware. Raises FrameError bad-time."""
    if isinstance(milliseconds, str) and re.fullmatch("[0-9]{1,15}", milliseconds):
        milliseconds = int(milliseconds)
    if isinstance(milliseconds, float) and milliseconds.is_integer():
        milliseconds = int(milliseconds)
    if type(milliseconds) is not int or not 0 <= milliseconds <= LAST_MILLISECOND:
        raise FrameError("bad-time", f"{milliseconds!a:.40} is not a time in epoch milliseconds")
    return EPOCH + timedelta(milliseconds=milliseconds)


@lru_cache(maxsize=4096)
def _parse(text: str) -> datetime:
    try:
        if COMPACT.fullmatch(text):
            parts = (text[:4], text[4:6], text[6:8], text[8:10], text[10:12], text[12:])
            stamp = datetime(*map(int, parts))  # type: ignore[arg-type]
        elif ISO_8601.fullmatch(text):
            stamp = datetime.fromisoformat(_plain(text.upper()))
        else:
            raise ValueError("neither YYYYMMDDhhmmss nor ISO 8601")
        if not FIRST_YEAR <= stamp.year <= LAST_YEAR:
            raise ValueError(f"year {stamp.year} is not {FIRST_YEAR} to {LAST_YEAR}")
    except ValueError as error:
        raise FrameError("bad-time", f"{text!a}: {error}") from None
    return stamp.replace(microsecond=stamp.microsecond // 1000 * 1000)  # a BSON date has milliseconds


def _plain(text: str) -> str:
    """An ISO 8601 stamp as Python reads it: UTC as an offset, no space before an offset."""
    text = NAMED_UTC.sub("+00:00", text)
    date, _, time = text.replace(" ", "T", 1).partition("T")
    return f"{date}T{time.replace(' ', '')}"
