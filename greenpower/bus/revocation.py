"""Revoked logins in Redis: the API writes them, and processes without SQL, such as the realtime gateway, read them.

SQL has the truth (`token_family`, `api_key`). Redis has a copy for as long as an access token lives; the worker writes
it again after Redis was away. Every access token has the claim `fam`: the login or the key that it came from.

    greenpower:revoked:<fam>    key, value 1, expires with the last access token of that family
    greenpower:revocations      channel, message <fam>: drop the connections of that family now
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

# How long an access token lives, in seconds.
ACCESS_SECONDS = 15 * 60
# The clocks of two hosts may differ by this much.
MARGIN_SECONDS = 60
REVOKED_PREFIX = "greenpower:revoked:"
REVOCATION_CHANNEL = "greenpower:revocations"


class RedisClient(Protocol):
    """The calls of a Redis client that are used here."""

    def set(self, name: str, value: str, *, ex: int, nx: bool) -> object: ...
    def publish(self, channel: str, message: str) -> object: ...
    def exists(self, *names: str) -> object: ...


def revoked_key(family: str) -> str:
    """The Redis key that exists while a family is revoked."""
    return REVOKED_PREFIX + family


def mark_revoked(client: RedisClient, families: Iterable[str]) -> None:
    """Mark families as revoked in Redis and tell the gateways, once. Safe to repeat. Raises what the client raises."""
    for family in families:
        # No token is made after the first time: what was set then lasts long enough.
        if client.set(revoked_key(family), "1", ex=ACCESS_SECONDS + MARGIN_SECONDS, nx=True):
            client.publish(REVOCATION_CHANNEL, family)


def is_revoked(client: RedisClient, family: str) -> bool:
    """Whether a family is marked as revoked in Redis. Raises what the client raises."""
    return bool(client.exists(revoked_key(family)))
