"""The alarm job: judges what is new for all rules, and passes on what happened. Every few seconds, while there is a
rule or an open alarm.

It may be killed at any point, and several may run at once. What belongs here: the entry and its connections. What does
not: judging and telling (`greenpower.alarms`).
"""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime

from redis import Redis

from greenpower.alarms.evaluator import Evaluator
from greenpower.alarms.tell import tell
from greenpower.alarms.wanted import mark_wanted
from greenpower.archive.database import open_database
from greenpower.bus.keys import ALARMS_WANTED
from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.ingest.transports import sources_of
from greenpower.jobs.schedule import Entry
from greenpower.mongo.alarms.progress import RoundLostError
from greenpower.mongo.client import sync_client
from greenpower.sql.session import sql_session

ALARMS_EVERY_SECONDS = 10
ALARMS_JOB_SECONDS = 120


def alarms_entry() -> Entry:
    """The job, every few seconds; before others, so that what they do does not hold up an alarm."""
    return Entry(
        name="alarms",
        function="greenpower.jobs.alarms.work",
        args=(),
        every=ALARMS_EVERY_SECONDS,
        timeout=ALARMS_JOB_SECONDS,
        wanted=ALARMS_WANTED,
        first=True,
    )


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run does everything again."""
    settings = load_settings()
    with (
        sync_client(settings, appname="greenpower-worker") as client,
        sql_session(settings) as session,
        closing(Redis.from_url(settings.need("REDIS_URL"))) as redis,
    ):
        db = open_database(client, settings)
        try:
            result = Evaluator(db, session, get_registry(), settings, sources_of).run()
            done = f"{result.rules} rules, {result.readings} readings, {result.changes} changes"
        except RoundLostError:
            done = "another worker does the same"
        told = tell(db, redis, datetime.now(UTC))
        mark_wanted(session, db, redis)
    return f"{done}, {told} told"
