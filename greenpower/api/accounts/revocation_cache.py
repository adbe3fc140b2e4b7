"""Showing in Redis which logins were ended, for the realtime gateway. Redis may be away: the worker repeats it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from redis import Redis, RedisError
from redis.backoff import NoBackoff
from redis.retry import Retry

from greenpower.api.http.context import get_context
from greenpower.bus import revocation

log = logging.getLogger(__name__)
# A caller waits no longer than this for a Redis that hangs.
SECONDS = 0.5


def redis_client(url: str) -> Redis:
    """A client that gives up soon. Connects with the first command, so it may be made before a fork."""
    return Redis.from_url(
        url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0), decode_responses=True
    )


def show_revoked(families: Iterable[str]) -> None:
    """Mirror revoked families. Call it after the commit; never fails."""
    client = get_context().redis
    if client is None:
        return
    try:
        revocation.mirror(client, families)
    except RedisError as error:
        log.warning("Redis does not show the revocation yet: %.200s", error)
