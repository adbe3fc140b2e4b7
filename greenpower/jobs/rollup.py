"""What RQ runs for a tier: one run, its lock and its follow-up jobs in Redis, which may be away."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry
from rq import Worker

from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.jobs.schedule import QUEUE, add_job, help_entry, push, rollup_entry
from greenpower.rollups.job_run import JobLinks, run_job
from greenpower.rollups.lock import TierLock
from greenpower.rollups.plan import TierPlan, find_plan

log = logging.getLogger(__name__)

# What connecting, or one answer, may take. A run needs Redis for nothing but its lock and its follow-up jobs.
REDIS_SECONDS = 2.0


def roll(type_name: str, prefix: str) -> dict[str, Any]:
    """Bring a tier up to date: `{outcome}`, `not_declared`, `locked` by other runs, or `done` with the run's counts.

    Called in a process of its own, forked for this job; clients are made here. Raises PyMongoError after some attempts,
    and what device ranges failed with; RQ keeps the failure, and the next run goes on where this one stopped.
    """
    return _roll(type_name, prefix)


def roll_all(type_name: str, *prefixes: str) -> dict[str, Any]:
    """`roll` for several tiers of a type, finest first: `{prefix: {outcome}}`. One job, because most runs of a small
    site take less time than a process and its clients.

    A tier that fails holds back none of the others. Raises what the first failed with.
    """
    found, failures = dict[str, Any](), list[Exception]()
    for index, prefix in enumerate(prefixes, 1):
        try:
            found[prefix] = _roll(type_name, prefix, follow=prefixes[index:])
        except Exception as error:
            if failures:
                log.error("%s/%s failed too", type_name, prefix, exc_info=error)
            failures.append(error)
    if failures:
        raise failures[0]
    return found


def help_roll(type_name: str, prefix: str) -> dict[str, Any]:
    """As `roll`, in the round that another worker's `roll` has begun: what that has not taken yet."""
    return _roll(type_name, prefix, helping=True)


def _roll(type_name: str, prefix: str, *, helping: bool = False, follow: Sequence[str] = ()) -> dict[str, Any]:
    """follow: the prefixes of the tiers that are computed after it in the same job."""
    settings = load_settings()
    datatype = get_registry().get(type_name)
    plan = None if datatype is None else find_plan(datatype, prefix, settings)
    if plan is None:
        return {"outcome": "not_declared"}
    with Redis.from_url(
        settings.need("REDIS_URL"),
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
    ) as redis:
        links = JobLinks(
            workers=_count_workers(redis),
            lock=lambda name: TierLock(redis, name),
            queue=lambda due: None if due.tier.prefix in follow else _queue(redis, due),
            ask=lambda due, count: _ask(redis, due, count),
        )
        counts = run_job(plan, settings, links, helping=helping)
    return {"outcome": "locked"} if counts is None else {"outcome": "done", **asdict(counts)}


def _count_workers(redis: Redis) -> int:
    """How many workers there are; 1 where Redis is away."""
    try:
        return Worker.count(connection=redis, queue=JsonQueue(QUEUE, connection=redis))
    except RedisError:
        return 1


def _queue(redis: Redis, plan: TierPlan) -> None:
    """Let a tier's job run as soon as a worker is free. Where Redis is away, its schedule brings it."""
    try:
        push(redis, rollup_entry(plan))
    except RedisError as error:
        log.warning("%s was not queued, its schedule will bring it: %s", plan.name, error)


def _ask(redis: Redis, plan: TierPlan, count: int) -> None:
    """Let other workers help. Where Redis is away, this one does it all."""
    try:
        for number in range(count):
            add_job(redis, help_entry(plan, number))
    except RedisError as error:
        log.warning("%s: nobody could be asked for help: %s", plan.name, error)
