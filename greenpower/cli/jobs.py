"""`greenpower worker` and `greenpower scheduler`: the processes that run and that queue background jobs."""

from __future__ import annotations

import logging
import os
import signal
from collections.abc import Callable
from functools import partial
from types import FrameType
from uuid import uuid4
from zoneinfo import ZoneInfo

import click
import redis
from sqlalchemy.orm import configure_mappers

from greenpower.bus.job_queue import drop_pickled_from_queue
from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import Settings, keep_settings, load_settings
from greenpower.datatype.carrier import Carrier
from greenpower.homeassistant.publish import is_announced
from greenpower.jobs import (
    alarms,
    archive,
    commands,
    device_sync,
    homeassistant,
    imports,
    notify,
    outbound,
    presence,
    reports,
    rollup,
)
from greenpower.jobs.alarms import alarms_entry
from greenpower.jobs.archive import archive_entry, archives
from greenpower.jobs.commands import commands_entry
from greenpower.jobs.device_sync import devices_entry
from greenpower.jobs.homeassistant import homeassistant_entry
from greenpower.jobs.imports import imports_entry
from greenpower.jobs.notify import notify_entry
from greenpower.jobs.outbound import outbound_entry
from greenpower.jobs.presence import presence_entry
from greenpower.jobs.reports import reports_entry, set_report_source
from greenpower.jobs.schedule import QUEUE, Entry, JobScheduler, rollup_entries
from greenpower.jobs.wiring import wiring_entry
from greenpower.jobs.worker import BACKOFF, STALLED_SECONDS, JobWorker
from greenpower.log import set_up_logging
from greenpower.loops import ThreadLoop, Watchdog
from greenpower.mongo.processes.heartbeat import running
from greenpower.mongo.schema.version import check_at_start
from greenpower.reports.mail import ScheduledReport
from greenpower.reports.report import Report
from greenpower.rollups.plan import all_plans

SCHEDULER_SECONDS = 5  # the finest interval is some seconds; a job is queued at most so late

log = logging.getLogger(__name__)


@click.command()
def worker() -> None:
    """Run background jobs.

    After SIGTERM the current job is finished, or goes back into the queue if it takes too long.
    """
    connection = _connect()
    check_at_start(keep_settings())
    # Jobs are forked from here: what is read, imported and set up once need not be in each of them.
    get_registry()
    configure_mappers()
    known = (
        alarms.work, rollup.roll, device_sync.sync, presence.check, commands.work, homeassistant.work, archive.move,
        imports.work, notify.work, reports.work, outbound.work,
    )  # fmt: skip
    set_report_source(_make_report)
    log.debug("jobs: %s", [function.__module__ for function in known])

    failed_before, looked_for_older = False, False

    def work(loop: ThreadLoop) -> None:
        nonlocal failed_before, looked_for_older
        _end_on_signals(loop)
        if not looked_for_older:
            drop_pickled_from_queue(connection, QUEUE)
            looked_for_older = True
        # A new one each time: it registers itself under its name when it starts, and cannot do so twice.
        life = JobWorker(connection, _name(), loop, failed_before=failed_before)
        try:
            life.work(logging_level=None)
        finally:
            _end_on_signals(loop)  # a worker installs handlers of its own and leaves them
        if life.failure is not None:
            # Where only Redis was away, the next one is well as soon as it can register.
            away = isinstance(life.failure, (redis.ConnectionError, redis.TimeoutError))
            failed_before = not away or (failed_before and not life.proven)
            raise life.failure

    _run("worker", work)


@click.command()
def scheduler() -> None:
    """Queue periodic jobs when they are due.

    Several can run; one at a time does the work.
    """
    connection, settings = _connect(), load_settings()

    def work(loop: ThreadLoop) -> None:
        _end_on_signals(loop)
        entries = partial(job_entries, get_registry(), settings, connection)
        JobScheduler(entries, connection=connection, interval=SCHEDULER_SECONDS, name=_name()).work(loop)

    _run("scheduler", work)


def job_entries(registry: Registry, settings: Settings, connection: redis.Redis) -> list[Entry]:
    """All periodic jobs, by the settings and by what earlier ones have left. Raises RedisError."""
    tiers = rollup_entries(all_plans(registry, settings))
    # Switched off, it runs once more to remove what it has announced.
    announced = [homeassistant_entry()] if settings.homeassistant_discovery or is_announced(connection) else []
    old = [archive_entry(datatype) for datatype in registry] if archives(settings) else []
    return [
        *tiers,
        devices_entry(),
        presence_entry(),
        commands_entry(),
        imports_entry(),
        notify_entry(),
        reports_entry(),
        wiring_entry(),
        alarms_entry(),
        outbound_entry(),
        *old,
        *announced,
    ]


def _make_report(asked: ScheduledReport) -> Report:
    """What a schedule asks for. Imports the API's code: only a child that has a report to make needs it."""
    from greenpower.cli.report import ask_report

    settings = load_settings()
    return ask_report(
        settings,
        asked.period.unit,
        asked.period.name,
        Carrier(asked.carrier),
        ZoneInfo(settings.device_timezone),
        asked.zone_id,
    )


def _name() -> str:
    """A name that is never used twice; the supervisor finds a process's heartbeat by the number at its start."""
    return f"{os.getpid()}-{uuid4().hex}"


def _connect() -> redis.Redis:
    settings = load_settings()
    set_up_logging(settings.log_level, settings.log_format)
    return redis.Redis.from_url(settings.need("REDIS_URL"))


def _run(name: str, work: Callable[[ThreadLoop], None]) -> None:
    """Run in this thread until a signal comes: signals reach no other."""
    expected = (redis.RedisError, OSError)
    settings = load_settings()
    loop = ThreadLoop(name, work, stalled_after=STALLED_SECONDS, expected=expected, backoff=BACKOFF)
    with running(settings, name), Watchdog(name, settings.watchdog_seconds, lambda: loop.pulse):
        loop.run()


def _end_on_signals(loop: ThreadLoop) -> None:
    def on_signal(number: int, frame: FrameType | None) -> None:
        loop.request_stop()
        raise SystemExit(0)

    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, on_signal)
