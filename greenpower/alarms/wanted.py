"""Whether there is anything to do for alarms: a mark in Redis, which the scheduler looks at.

Without a rule, and without an alarm that is open or not passed on, no process looks for any. The truth is in SQL and
MongoDB: the worker writes the mark again each minute, as after Redis has lost its data.
"""

from __future__ import annotations

from typing import Any, Protocol

from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.bus.keys import ALARMS_WANTED
from greenpower.mongo.alarms.find import has_open_or_untold
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ALARMS
from greenpower.sql.alarm_rule import StoredAlarmRule

# A mark that nobody renews is of a system that has stopped.
WANTED_SECONDS = 600


class MarkClient(Protocol):
    """The calls of a Redis client that are used here."""

    def set(self, name: str, value: str, *, ex: int) -> Any: ...
    def delete(self, *names: str) -> Any: ...


def is_wanted(session: Session | scoped_session[Any], db: Database[Document]) -> bool:
    """Whether there is an enabled rule, or an alarm that is open or not passed on. Raises the databases' errors."""
    rule = session.scalar(select(StoredAlarmRule.id).where(StoredAlarmRule.enabled).limit(1))
    return rule is not None or has_open_or_untold(db[ALARMS])


def want(redis: MarkClient) -> None:
    """There is something to do. Raises what the client raises."""
    redis.set(ALARMS_WANTED, "1", ex=WANTED_SECONDS)


def mark_wanted(session: Session | scoped_session[Any], db: Database[Document], redis: MarkClient) -> bool:
    """Write the mark, or take it away. Returns whether there is something to do. Raises what the client raises, the
    databases' errors."""
    if wanted := is_wanted(session, db):
        want(redis)
    else:
        redis.delete(ALARMS_WANTED)
    return wanted
