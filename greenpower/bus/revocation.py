"""Revoked logins as Redis shows them: what the API writes and whoever has no SQL, such as the realtime gateway, reads.

SQL is the truth (`token_family`, `api_key`). This is its mirror for as long as an access token lives; the worker fills
it again after Redis was away. Every access token has the claim `fam`: the login or the key that it came from.

    greenpower:revoked:<fam>    key, value 1, expires with the last access token of that family
    greenpower:revocations      channel, message <fam>: drop the connections of that family now
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol

# How long an access token lives, in seconds.
ACCESS_SECONDS = 15 * 60
# Clocks of two hosts may differ by this much.
MARGIN_SECONDS = 60
PREFIX = "greenpower:revoked:"
CHANNEL = "greenpower:revocations"


class Client(Protocol):
    """What is used of a Redis client."""

    def set(self, name: str, value: str, *, ex: int, nx: bool) -> object: ...
    def publish(self, channel: str, message: str) -> object: ...
    def exists(self, *names: str) -> object: ...


def key(family: str) -> str:
    """The Redis key that exists while a family is revoked."""
    return PREFIX + family


def mirror(client: Client, families: Iterable[str]) -> None:
    """Show families as revoked and tell who listens, once. Safe to repeat. Raises what the client raises."""
    for family in families:
        # No token is made after the first time: what was set then lasts long enough.
        if client.set(key(family), "1", ex=ACCESS_SECONDS + MARGIN_SECONDS, nx=True):
            client.publish(CHANNEL, family)


def is_revoked(client: Client, family: str) -> bool:
    """Whether a family was revoked, as far as Redis knows. Raises what the client raises."""
    return bool(client.exists(key(family)))
