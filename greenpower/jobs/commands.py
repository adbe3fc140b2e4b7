"""The command job: sends queued commands, reads answers, expires old commands. It runs when a command is given, every
few seconds while one is open, and each minute.

All its state is in SQL and MongoDB, and each step happens once even if several workers try it. So it may be killed at
any point, and several may run at once.
"""

from __future__ import annotations

import logging
import time
from contextlib import closing

from pymongo.collection import Collection
from redis import Redis, RedisError
from sqlalchemy.orm import Session

from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings, load_settings
from greenpower.control.answer import apply_answer
from greenpower.control.clock_sync import sync_clocks
from greenpower.control.send import expire, open_commands, send_all
from greenpower.jobs.schedule import Entry, set_next_run
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.answers import read_answer, take, untaken
from greenpower.mongo.schema.layout import ANSWERS
from greenpower.sql.session import sql_session

log = logging.getLogger(__name__)

COMMANDS_EVERY_SECONDS = 10
# While no command is open: for one that was given while Redis was away.
COMMANDS_IDLE_SECONDS = 60
COMMANDS_JOB_SECONDS = 60
# How long a run waits for answers: most come within a second, and other jobs wait meanwhile.
WAIT_FOR_ANSWERS_SECONDS = 3.0
BETWEEN_PASSES_SECONDS = 0.1


def commands_entry() -> Entry:
    """The job, every few seconds."""
    return Entry(
        name="commands",
        function="greenpower.jobs.commands.work",
        args=(),
        every=COMMANDS_EVERY_SECONDS,
        timeout=COMMANDS_JOB_SECONDS,
    )


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run goes on where this one stopped."""
    settings, registry = load_settings(), get_registry()
    sent = 0
    with (
        sync_client(settings, appname="greenpower-worker") as client,
        sql_session(settings) as session,
    ):
        db = client[settings.mongo_db_name]
        if settings.downlink_time_sync:
            sync_clocks(session, db, registry, settings)
        end = time.monotonic() + WAIT_FOR_ANSWERS_SECONDS
        while True:
            sent += one_pass(session, db[ANSWERS], registry, settings)
            left = len(open_commands(session))
            if not left or time.monotonic() > end:
                break
            time.sleep(BETWEEN_PASSES_SECONDS)
    if not settings.downlink_time_sync:
        set_pace(settings, is_idle=not left)
    return f"{sent} sent, {left} open"


def set_pace(settings: Settings, *, is_idle: bool) -> None:
    """Set when the job runs next. Where Redis is away, it stays at every few seconds."""
    seconds = COMMANDS_IDLE_SECONDS if is_idle else COMMANDS_EVERY_SECONDS
    try:
        with closing(Redis.from_url(settings.need("REDIS_URL"))) as redis:
            set_next_run(redis, commands_entry(), seconds)
    except RedisError as error:
        log.warning("the next run of the command job was not set: %.200s", error)


def one_pass(session: Session, answers: Collection[Document], registry: Registry, settings: Settings) -> int:
    """Apply the answers, expire old commands, send the queued ones. Returns how many messages were sent."""
    for document in untaken(answers):
        answer = read_answer(document)
        if not apply_answer(session, registry, answer):
            log.info("an answer of %a belongs to no command of this system", answer.device_id)
        session.commit()
        take(answers, document)
    rows = open_commands(session)
    expire(session, rows)
    return send_all(session, registry, settings, rows)
