"""Windows: stretches of time of one length, aligned to UTC, `[start, start + length)`. Lengths are whole seconds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

HOUR = 3_600


def floor(time: datetime, length: int) -> datetime:
    """The start of the window that a time lies in. `time` is aware; the answer is in UTC."""
    seconds = int(time.timestamp() // length) * length
    return datetime.fromtimestamp(seconds, UTC)


def ceil(time: datetime, length: int) -> datetime:
    """The first start of a window that is not before a time."""
    start = floor(time, length)
    return start if start == time else start + timedelta(seconds=length)


def starts(begin: datetime, end: datetime, length: int) -> Iterator[datetime]:
    """The starts of all windows that overlap `[begin, end)`."""
    start, step = floor(begin, length), timedelta(seconds=length)
    while start < end:
        yield start
        start += step


def spans(windows: Iterable[datetime], length: int) -> list[tuple[datetime, datetime]]:
    """Windows, given by their starts, as stretches `[begin, end)` without gaps, in order."""
    found: list[tuple[datetime, datetime]] = []
    step = timedelta(seconds=length)
    for start in sorted(set(windows)):
        if found and found[-1][1] == start:
            found[-1] = (found[-1][0], start + step)
        else:
            found.append((start, start + step))
    return found
