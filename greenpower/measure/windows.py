"""Windows: stretches of time of one length, aligned to UTC, `[start, start + length)`. Lengths are whole seconds.

A window is done some time after its end: until then it may still get readings in the ordinary way. Two clocks meet
there, that of the job which computes a window and that of ingest which stores a reading. A job takes a window as done
`WINDOW_GRACE` after its end; ingest invalidates what a reading touches that was stored later than half of that. So no
reading falls between the two as long as the hosts' clocks differ by less than the other half.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

HOUR = 3_600
WINDOW_GRACE = timedelta(seconds=60)


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


def done_before(now: datetime, length: int | None) -> datetime:
    """Windows that end at this time or before are done. length: seconds, None for raw copies."""
    return _begun(now - WINDOW_GRACE, length)


def late_before(now: datetime, length: int | None) -> datetime:
    """A reading stored by now that was measured before this time may have missed its window, which then has
    to be computed again."""
    return _begun(now - WINDOW_GRACE / 2, length)


def _begun(time: datetime, length: int | None) -> datetime:
    if length is None:
        return time.replace(microsecond=time.microsecond // 1000 * 1000)
    return floor(time, length)
