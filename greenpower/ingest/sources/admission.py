"""Admission: how many TCP connections there may be, and which one goes when there are too many.

What belongs here: places, and the metrics of connections. What does not: sockets (`connection`, `listener`).
"""

from __future__ import annotations

import logging
import resource
from collections import Counter
from typing import Protocol

from prometheus_client import CollectorRegistry, Gauge
from prometheus_client import Counter as Metric

from greenpower.config import Settings

log = logging.getLogger(__name__)

# Beside the connections: database, broker, HTTP, logs.
OTHER_OPEN_FILES = 500


class Guest(Protocol):
    """A connection, as admission sees it."""

    address: str

    def close(self, reason: str) -> None:
        """End the connection; counted under the reason. Never raises."""


class Admission:
    """The places for connections. One for all TCP ports of a process.

    A connection has its place from `enter` to `leave`; it is nameless until `name`.
    """

    def __init__(self, settings: Settings, registry: CollectorRegistry) -> None:
        self.max_connections = settings.tcp_max_connections
        self.max_per_address = settings.tcp_max_per_address
        self.connections = Gauge("greenpower_tcp_connections", "TCP connections", registry=registry)
        self.closed = Metric(
            "greenpower_tcp_closed", "TCP connections that ended, by reason", ("reason",), registry=registry
        )
        self._nameless: dict[Guest, None] = {}  # in order of arrival
        self._named: set[Guest] = set()
        self._per_address: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many connections there are."""
        return len(self._nameless) + len(self._named)

    def raise_open_files(self) -> None:
        """Raise the limit of open files as far as needed; where it stays lower, fewer connections fit."""
        allowed = raise_open_files(self.max_connections) - OTHER_OPEN_FILES
        self.max_connections = min(self.max_connections, allowed)

    def enter(self, guest: Guest) -> bool:
        """Give a connection a place. Where all are taken, the oldest nameless connection goes. False: there is none."""
        if self.max_per_address and self._per_address[guest.address] >= self.max_per_address:
            return False
        if self.count >= self.max_connections:
            oldest = next(iter(self._nameless), None)
            if oldest is None:
                return False
            self.leave(oldest)
            oldest.close("crowded-out")
        self._nameless[guest] = None
        self._per_address[guest.address] += 1
        self.connections.set(self.count)
        return True

    def name(self, guest: Guest) -> None:
        """A connection has said who it is: it keeps its place."""
        if guest in self._nameless:
            del self._nameless[guest]
            self._named.add(guest)

    def leave(self, guest: Guest) -> None:
        """A connection gives its place back. Does nothing where it has none."""
        if guest not in self._nameless and guest not in self._named:
            return
        self._nameless.pop(guest, None)
        self._named.discard(guest)
        self._per_address[guest.address] -= 1
        if not self._per_address[guest.address]:
            del self._per_address[guest.address]
        self.connections.set(self.count)


def raise_open_files(wanted: int) -> int:
    """Raise the limit of open files for so many connections, as far as it may be raised. Returns the limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted + OTHER_OPEN_FILES
    if hard != resource.RLIM_INFINITY:
        target = min(target, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        soft = target
    if soft != resource.RLIM_INFINITY and soft < wanted + OTHER_OPEN_FILES:
        log.warning("the limit of open files is %d: fewer than TCP_MAX_CONNECTIONS=%d fit", soft, wanted)
    return wanted + OTHER_OPEN_FILES if soft == resource.RLIM_INFINITY else soft
