"""Keys of ours in Redis that hold another Redis type than they should: what they held is lost, and they are deleted.

What belongs here: telling that it is so, counting it and saying it once. What does not: writing the key again.
"""

from __future__ import annotations

import logging

from prometheus_client import Counter
from redis.asyncio import Redis

log = logging.getLogger(__name__)


def is_wrong_type(error: object) -> bool:
    """Whether Redis answered that a key holds another type; from a script, it says so in the middle of its text."""
    return "WRONGTYPE" in str(error)


class ForeignKeys:
    """Deletes them. All that it may be given is cache: it is written again from MongoDB."""

    def __init__(self, redis: Redis, deleted: Counter | None = None) -> None:
        self._redis = redis
        self._deleted = deleted
        self._logged: set[str] = set()

    async def delete(self, key: str, *markers: str) -> None:
        """Delete a key, and the markers that say that it is complete. Raises RedisError."""
        await self._redis.delete(key, *markers)
        if self._deleted is not None:
            self._deleted.inc()
        if key not in self._logged:
            self._logged.add(key)
            log.warning("Redis: %s was of another type; it is deleted and written again", key)
