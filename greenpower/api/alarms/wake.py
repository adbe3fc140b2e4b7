"""Letting the scheduler know that there is something to do for alarms."""

from __future__ import annotations

import logging

from redis import RedisError

from greenpower.alarms.wanted import want
from greenpower.api.http.context import get_context

log = logging.getLogger(__name__)


def wake_alarms() -> None:
    """Say so. Never fails: where Redis is away, the worker says it within a minute of its return."""
    redis = get_context().redis
    if redis is None:
        return
    try:
        want(redis)
    except RedisError as error:
        log.warning("the evaluator of alarms is not woken: %.200s", error)
