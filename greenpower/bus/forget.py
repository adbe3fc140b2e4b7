"""Forgetting what Redis holds of readings and statuses, after the data that they come from was replaced.

Ended logins stay: they expire by themselves.
"""

from __future__ import annotations

from redis import Redis

from greenpower.bus.keys import WHOLE, latest_key, status_key

KEYS_PER_SCAN = 500


def forget_values(redis: Redis) -> int:
    """Delete the newest readings and statuses of all devices; ingest fills them again. Returns how many keys.

    Raises RedisError.
    """
    found: list[str | bytes] = [WHOLE]
    for pattern in (latest_key("*"), status_key("*")):
        found += _matching(redis, pattern)
    return int(redis.delete(*found))


def _matching(redis: Redis, pattern: str) -> list[bytes]:
    return list(redis.scan_iter(pattern, count=KEYS_PER_SCAN))
