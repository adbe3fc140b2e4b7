"""The job that sends notices. It runs when some are put into the outbox, when a try is due, and every few minutes for
what a wake-up that was lost has left.

What belongs here: the entry and its connections. What does not: sending (`greenpower.notify.send`).
"""

from __future__ import annotations

import time
from contextlib import closing
from datetime import UTC, datetime

from redis import Redis

from greenpower.config import load_settings
from greenpower.jobs.schedule import Entry, run_by
from greenpower.mongo.client import sync_client
from greenpower.mongo.notifications.outbox import waiting_channels
from greenpower.mongo.schema.layout import NOTIFICATIONS
from greenpower.notify.channels import find_target
from greenpower.notify.put import NOTIFY_JOB, NOTIFY_JOB_SECONDS, forget_wake_up
from greenpower.notify.send import NoticeSender, SendRun
from greenpower.sql.session import sql_session

NOTIFY_EVERY_SECONDS = 300
# No further channel is begun then: other jobs wait.
NOTIFY_RUN_SECONDS = 120.0


def notify_entry() -> Entry:
    """The job, every few minutes."""
    return Entry(name="notify", function=NOTIFY_JOB, args=(), every=NOTIFY_EVERY_SECONDS, timeout=NOTIFY_JOB_SECONDS)


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run goes on."""
    settings = load_settings()
    with (
        closing(Redis.from_url(settings.need("REDIS_URL"))) as redis,
        sync_client(settings, appname="greenpower-worker") as client,
    ):
        forget_wake_up(redis)
        outbox = client[settings.mongo_db_name][NOTIFICATIONS]
        if not waiting_channels(outbox):
            return "nothing waits"
        # Not before there is something to send: apprise takes its time and memory.
        from greenpower.notify.deliver import deliver

        end = time.monotonic() + NOTIFY_RUN_SECONDS
        with sql_session(settings) as session:
            sender = NoticeSender(
                outbox=outbox,
                find=lambda channel_id: find_target(session, channel_id),
                send=deliver,
                now=lambda: datetime.now(UTC),
            )
            done = sender.run(lambda: time.monotonic() < end)
        if done.next_at is not None:
            run_by(redis, notify_entry(), done.next_at)
    return shown(done)


def shown(done: SendRun) -> str:
    """A run as one line."""
    return f"{done.messages} messages sent, {done.failures} failed, {done.given_up} notices given up"
