"""The job that sends to outbound targets: every few seconds while there are any, else hourly and when one is made.

What belongs here: the entry and its connections. What does not: sending (`greenpower.outbound`).
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime, timedelta

from redis import Redis
from sqlalchemy import select

from greenpower.archive.database import open_database
from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.jobs.schedule import Entry, set_next_run
from greenpower.mongo.client import sync_client
from greenpower.mongo.outbound.positions import asked_tests, forget_others
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.outbound.feeds import OutboundFeed, feeds_of
from greenpower.outbound.run import OutboundRun, OutboundTally
from greenpower.outbound.senders import sender_of
from greenpower.outbound.wake import OUTBOUND_JOB, OUTBOUND_JOB_SECONDS, forget_outbound_wake_up
from greenpower.sql import OutboundTarget
from greenpower.sql.session import sql_session

OUTBOUND_EVERY_SECONDS = 10
# While no target is enabled: the API wakes the job when one is; this is for a wake-up that was lost.
OUTBOUND_IDLE_SECONDS = 3_600
# No further batch is begun then: other jobs wait.
OUTBOUND_RUN_SECONDS = 45.0


def outbound_entry() -> Entry:
    """The job, every few seconds."""
    return Entry(
        name="outbound", function=OUTBOUND_JOB, args=(), every=OUTBOUND_EVERY_SECONDS, timeout=OUTBOUND_JOB_SECONDS
    )


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run goes on from the saved positions."""
    settings = load_settings()
    with closing(Redis.from_url(settings.need("REDIS_URL"))) as redis, sql_session(settings) as session:
        forget_outbound_wake_up(redis)
        targets = list(session.scalars(select(OutboundTarget).order_by(OutboundTarget.id)))
        session.expunge_all()
        session.rollback()
        if not targets:
            set_next_run(redis, outbound_entry(), OUTBOUND_IDLE_SECONDS)
            return "no targets"
        with sync_client(settings, appname="greenpower-worker") as client:
            positions = client[settings.mongo_db_name][OUTBOUND_POSITIONS]
            forget_others(positions, [target.id for target in targets])
            idle = not any(target.enabled for target in targets)
            if idle and not asked_tests(positions):
                set_next_run(redis, outbound_entry(), OUTBOUND_IDLE_SECONDS)
                return "no target is enabled"
            registry, db = get_registry(), open_database(client, settings)
            horizon = timedelta(seconds=settings.changes_horizon_seconds)

            def feeds(target: OutboundTarget) -> list[OutboundFeed]:
                found = list(feeds_of(target, session, db, registry, settings))
                session.rollback()  # nothing is held while it sends
                return found

            run = OutboundRun(
                positions=positions,
                feeds=feeds,
                sender=lambda target: sender_of(target, registry, settings),
                now=lambda: datetime.now(UTC),
                until=lambda: datetime.now(UTC).replace(microsecond=0) - horizon,
                clock=time.monotonic,
                end=time.monotonic() + OUTBOUND_RUN_SECONDS,
            )
            done = run.run(targets)
        if idle:
            set_next_run(redis, outbound_entry(), OUTBOUND_IDLE_SECONDS)
        elif done.more:
            set_next_run(redis, outbound_entry(), 0)
    return shown(done)


def shown(done: OutboundTally) -> str:
    """A run as one line."""
    return f"{done.rows} rows in {done.deliveries} deliveries, {done.failures} failed, {done.tests} tests"
