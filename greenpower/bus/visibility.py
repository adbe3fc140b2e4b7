"""Which devices restricted users and keys may see, in Redis: the API writes it, and the realtime gateway reads it.

SQL has the truth (`zone_role`, `device`). Redis has a copy; the worker writes it again, as after Redis was away. The
access token of somebody who is restricted has the claim `zones`: without an entry here it sees nothing.

    greenpower:visible           hash, subject of the token -> list of device ids, JSON
    greenpower:visible-changed   channel, message <subject>: read its entry again
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

VISIBLE_KEY = "greenpower:visible"
VISIBLE_CHANNEL = "greenpower:visible-changed"
# Of an access token: whether its owner is restricted.
ZONES_CLAIM = "zones"


class HashClient(Protocol):
    """The calls of a Redis client that are used here."""

    def hgetall(self, name: str) -> Any: ...
    def hget(self, name: str, key: str) -> Any: ...
    def hset(self, name: str, key: str, value: str) -> Any: ...
    def hdel(self, name: str, *keys: str) -> Any: ...
    def publish(self, channel: str, message: str) -> Any: ...


def write_visible(client: HashClient, devices: Mapping[str, Iterable[str]]) -> int:
    """Make the entries what they should be, {subject: devices}, and tell the gateways of those that changed. Returns
    how many did. Safe to repeat. Raises what the client raises."""
    there = {_text(subject): _text(value) for subject, value in client.hgetall(VISIBLE_KEY).items()}
    wanted = {subject: json.dumps(sorted(found)) for subject, found in devices.items()}
    changed = [subject for subject in there | wanted if there.get(subject) != wanted.get(subject)]
    for subject in changed:
        if subject in wanted:
            client.hset(VISIBLE_KEY, subject, wanted[subject])
        else:
            client.hdel(VISIBLE_KEY, subject)
        client.publish(VISIBLE_CHANNEL, subject)
    return len(changed)


def read_visible(client: HashClient, subject: str) -> frozenset[str] | None:
    """The devices that a subject may see; None: there is no entry. Raises what the client raises."""
    value = client.hget(VISIBLE_KEY, subject)
    if value is None:
        return None
    try:
        found = json.loads(value)
    except ValueError:
        return frozenset()
    return frozenset(item for item in found if isinstance(item, str)) if isinstance(found, list) else frozenset()


def _text(value: str | bytes) -> str:
    return value.decode() if isinstance(value, bytes) else value
