"""Grace: how long after its end a window may still get readings in the ordinary way.

Two clocks meet here, that of the job which computes a window and that of ingest which stores a reading. A job takes a
window as done `GRACE` after its end; ingest marks a reading that was stored later than half of that. So no reading
falls between the two as long as the hosts' clocks differ by less than the other half.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from greenpower.measure.window import floor

GRACE = timedelta(seconds=60)


def done_before(now: datetime, length: int | None) -> datetime:
    """Windows that end at this time or before are done. length: seconds, None for raw copies."""
    return _cut(now - GRACE, length)


def late_before(now: datetime, length: int | None) -> datetime:
    """A reading stored by now that was measured before this time may have missed its window: it is marked."""
    return _cut(now - GRACE / 2, length)


def _cut(time: datetime, length: int | None) -> datetime:
    if length is None:
        return time.replace(microsecond=time.microsecond // 1000 * 1000)
    return floor(time, length)
