"""Months and the order of readings within them. What does not belong here: what is in a month's files."""

from __future__ import annotations

from datetime import datetime, timedelta

from greenpower.config import Settings
from greenpower.mongo.archive.document import ArchiveKey


def begin_of_month(time: datetime) -> datetime:
    """The first instant of a month, UTC."""
    return time.replace(day=1, hour=0, minute=0, second=0, microsecond=0)


def end_of_month(month: datetime) -> datetime:
    """The first instant after a month."""
    return begin_of_month(month + timedelta(days=31))


def last_month_end(settings: Settings, now: datetime) -> datetime:
    """The end of the newest month that is old enough to be archived."""
    return begin_of_month(now - timedelta(days=settings.archive_after_days))


def key_order(key: ArchiveKey) -> tuple[bytes, datetime]:
    """What readings are sorted by. Ids by their bytes, as MongoDB compares them."""
    return key["device_id"].encode(), key["timestamp"]
