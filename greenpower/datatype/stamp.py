"""Device stamps: from a device's text or number to a datetime. Ingest decides whether the device's clock is wrong."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from greenpower.datatype.error import FrameError

COMPACT = re.compile(r"[0-9]{14}")
ISO_8601 = re.compile(r"[0-9]{4}-?[0-9]{2}-?[0-9]{2}[T ][0-9:.,]{4,20}(Z|[+-][0-9:]{2,9})?", re.IGNORECASE)
#: no stamp is longer; this also bounds the size of the cache
MAX_STAMP_CHARACTERS = 40
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: outside these years a stamp cannot be converted between zones, or no meter can mean it
FIRST_YEAR, LAST_YEAR = 1970, 9998
LAST_MILLISECOND = (datetime(LAST_YEAR + 1, 1, 1, tzinfo=UTC) - EPOCH) // timedelta(milliseconds=1) - 1


def parse_stamp(text: str) -> datetime:
    """A device stamp: `YYYYMMDDhhmmss` (naive) or ISO 8601 (aware if it has an offset). Raises FrameError bad-time."""
    if len(text) > MAX_STAMP_CHARACTERS:
        raise FrameError("bad-time", f"{text[:MAX_STAMP_CHARACTERS]!a} …, {len(text)} characters")
    return _parse(text)


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
            stamp = datetime.fromisoformat(text.upper())
        else:
            raise ValueError("neither YYYYMMDDhhmmss nor ISO 8601")
        if not FIRST_YEAR <= stamp.year <= LAST_YEAR:
            raise ValueError(f"year {stamp.year} is not {FIRST_YEAR} to {LAST_YEAR}")
    except ValueError as error:
        raise FrameError("bad-time", f"{text!a}: {error}") from None
    return stamp.replace(microsecond=stamp.microsecond // 1000 * 1000)  # a BSON date has milliseconds
