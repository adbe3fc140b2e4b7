"""The forms in which devices send the time, and what each means. They are put into samples (`rules.clock_forms`).

The time is the same in all of them: midnight UTC of a day, 06:00 in Asia/Dhaka.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

MIDNIGHT = datetime(2026, 11, 20, tzinfo=UTC)
LOCAL = datetime(2026, 11, 20, 6)


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenTime:
    """text: as a device writes it. means: aware, or naive where the text has no zone. misread: what a naive stamp is
    a sign of, as the end of a sentence. as_in_sample: whether the sample has a time of this form."""

    text: str
    means: datetime
    misread: str = ""
    as_in_sample: bool = False


OFFSET = WrittenTime(text="2026-11-20T06:00:00+06:00", means=MIDNIGHT, misread="the offset +06:00 is dropped")
IN_UTC = WrittenTime(text="2026-11-20T00:00:00Z", means=MIDNIGHT, misread="a time in UTC is made naive")
NANOSECONDS = WrittenTime(
    text="2026-11-20T00:00:00.123456789Z",
    means=MIDNIGHT + timedelta(milliseconds=123),
    misread="a time in UTC is made naive",
)
EPOCH_SECONDS = WrittenTime(
    text="1795132800", means=MIDNIGHT, misread="a count since 1970, which is UTC, is made naive"
)
EPOCH_MILLISECONDS = WrittenTime(
    text="1795132800000", means=MIDNIGHT, misread="a count since 1970, which is UTC, is made naive"
)
COMPACT = WrittenTime(text="20261120060000", means=LOCAL)

TEXTS = (OFFSET, IN_UTC, NANOSECONDS, COMPACT)
WRITTEN_TIMES = (OFFSET, IN_UTC, NANOSECONDS, EPOCH_SECONDS, EPOCH_MILLISECONDS, COMPACT)
