"""What RQ runs for a tier: one run, its lock and its follow-up jobs in Redis, which may be away."""

from __future__ import annotations

import logging
from dataclasses import asdict
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

from greenpower.catalog.registry import get_registry
from greenpower.config import load_settings
from greenpower.jobs.schedule import push, rollup_entry
from greenpower.rollups.lock import TierLock
from greenpower.rollups.plan import TierPlan, find_plan
from greenpower.rollups.run import run_locked

log = logging.getLogger(__name__)

# What connecting, or one answer, may take. A run needs Redis for nothing but its lock and its follow-up jobs.
REDIS_SECONDS = 2.0


def roll(type_name: str, prefix: str) -> dict[str, Any]:
    """Bring a tier up to date: `{outcome}`, `not_declared`, `locked` by another run, or `done` with the run's counts.

    Called in a process of its own, forked for this job; clients are made here. Raises PyMongoError after some attempts;
    RQ keeps the failure, and the next run goes on where this one stopped.
    """
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
        counts = run_locked(plan, settings, TierLock(redis, plan.name), lambda due: _queue(redis, due))
    return {"outcome": "locked"} if counts is None else {"outcome": "done", **asdict(counts)}


def _queue(redis: Redis, plan: TierPlan) -> None:
    """Let a tier's job run as soon as a worker is free. Where Redis is away, its schedule brings it."""
    try:
        push(redis, rollup_entry(plan))
    except RedisError as error:
        log.warning("%s was not queued, its schedule will bring it: %s", plan.name, error)
