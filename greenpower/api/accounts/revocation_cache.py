"""Copying revoked logins to Redis, where the realtime gateway reads them. If Redis does not answer, the worker copies
them later."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.api.http.context import get_context
from greenpower.bus import revocation

log = logging.getLogger(__name__)
# A request waits no longer than this for a Redis that hangs.
REDIS_SECONDS = 0.5


def redis_client(url: str) -> Redis:
    """A client that gives up soon. It connects with its first command, so it may be made before a fork."""
    return Redis.from_url(
        url,
        socket_timeout=REDIS_SECONDS,
        socket_connect_timeout=REDIS_SECONDS,
        retry=Retry(NoBackoff(), 0),
        decode_responses=True,
    )


def cache_revoked(families: Iterable[str]) -> None:
    """Copy revoked families to Redis. Call it after the commit; never fails."""
    client = get_context().redis
    if client is None:
        return
    try:
        revocation.mark_revoked(client, families)
    except RedisError as error:
        log.warning("Redis does not have the revocation yet: %.200s", error)
