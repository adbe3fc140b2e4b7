"""Keeping what the broker retains equal to what there is to say: changes are published, what is gone is removed.

Redis keeps a hash of each message that the broker has taken. A mark, retained on the broker and kept in Redis, tells
that both are of one history: where Redis was emptied, or the broker has lost what it retained, everything is published
again, and what the broker still has of devices that are gone is removed.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from hashlib import sha256
from typing import Any
from uuid import uuid4

from redis import Redis

from greenpower.bus.keys import HOMEASSISTANT
from greenpower.control.publish import Visit
from greenpower.homeassistant.announcement import (
    MARK_TOPIC,
    STATE_PREFIX,
    KnownDevice,
    config_filter,
    is_ours,
    messages_of,
)

log = logging.getLogger(__name__)

REMOVED = b""


def announce(broker: Visit, redis: Redis, devices: Iterable[KnownDevice], prefix: str) -> int:
    """Publish what has changed. Returns how many messages the broker took. Raises RedisError, and NoBroker where it
    takes too long.

    What the broker does not take is published by the next call: only what it has taken is kept in Redis.
    """
    wanted: dict[str, bytes] = {}
    for device in devices:
        wanted |= messages_of(device, prefix)
    kept = {topic.decode(): digest.decode() for topic, digest in redis.hgetall(HOMEASSISTANT).items()}  # type: ignore[union-attr]
    known_mark = kept.pop(MARK_TOPIC, None)
    anew = not _is_marked(broker, known_mark)
    if anew:
        kept = dict.fromkeys(_left_over(broker, prefix), "")
    changed: dict[str, bytes] = dict.fromkeys(kept.keys() - wanted.keys(), REMOVED)
    changed |= {topic: payload for topic, payload in wanted.items() if kept.get(topic) != _digest(payload)}
    if not changed and not anew:
        return 0
    taken = broker.retain(changed)
    if anew:
        redis.delete(HOMEASSISTANT)
    _keep(redis, {topic: changed[topic] for topic in taken})
    if anew and len(taken) == len(changed):
        mark = uuid4().hex
        if broker.retain({MARK_TOPIC: mark.encode()}):
            redis.hset(HOMEASSISTANT, MARK_TOPIC, mark)
    return len(taken)


def is_announced(redis: Redis) -> bool:
    """Whether the broker may have something of us. Raises RedisError."""
    return bool(redis.exists(HOMEASSISTANT))


def withdraw(broker: Visit, redis: Redis, prefix: str) -> int:
    """Remove all that was announced, and the mark. Returns how many messages the broker took. Raises RedisError."""
    taken = announce(broker, redis, (), prefix)
    left = [topic for topic in redis.hkeys(HOMEASSISTANT) if topic != MARK_TOPIC.encode()]
    if not left and broker.retain({MARK_TOPIC: REMOVED}):
        redis.delete(HOMEASSISTANT)
    return taken


def _digest(payload: bytes) -> str:
    return sha256(payload).hexdigest()[:16]


def _keep(redis: Redis, taken: Mapping[str, bytes]) -> None:
    there: dict[Any, Any] = {topic: _digest(payload) for topic, payload in taken.items() if payload != REMOVED}
    if there:
        redis.hset(HOMEASSISTANT, mapping=there)
    if gone := [topic for topic, payload in taken.items() if payload == REMOVED]:
        redis.hdel(HOMEASSISTANT, *gone)


def _is_marked(broker: Visit, known: str | None) -> bool:
    if known is None:
        return False
    found = broker.read_retained(MARK_TOPIC)
    if found is None:
        log.warning("the broker does not let us read %s: whether it lost what it retained is not known", MARK_TOPIC)
        return True
    return found.get(MARK_TOPIC) == known.encode()


def _left_over(broker: Visit, prefix: str) -> list[str]:
    """What the broker retains of us."""
    configs = broker.read_retained(config_filter(prefix)) or {}
    states = broker.read_retained(STATE_PREFIX + "#") or {}
    return [
        *(topic for topic in configs if is_ours(prefix, topic)),
        *(topic for topic in states if topic != MARK_TOPIC),
    ]
