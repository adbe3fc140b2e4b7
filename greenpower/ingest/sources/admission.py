"""Admission: how many TCP connections there may be, and which goes when there are too many."""

from __future__ import annotations

import logging
import resource
from collections import Counter
from typing import Protocol

from greenpower.config import Settings
from greenpower.ingest.metrics import Metrics

log = logging.getLogger(__name__)

# Beside the connections: database, broker, HTTP, logs.
OTHER_FILES = 500


class Guest(Protocol):
    """A connection, as admission sees it."""

    address: str

    def close(self, reason: str) -> None:
        """End the connection; counted under the reason."""


class Admission:
    """Lets connections in and knows which of them have not said who they are. One for all TCP ports of a process."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        self.most = min(settings.tcp_max_connections, raise_open_files(settings.tcp_max_connections) - OTHER_FILES)
        self.most_per_address = settings.tcp_max_per_address
        self.metrics = metrics
        self._nameless: dict[Guest, None] = {}  # in order of arrival
        self._named: set[Guest] = set()
        self._per_address: Counter[str] = Counter()

    @property
    def count(self) -> int:
        """How many there are."""
        return len(self._nameless) + len(self._named)

    def enter(self, guest: Guest) -> bool:
        """Let a connection in, at the cost of the oldest nameless one where all places are taken."""
        if self.most_per_address and self._per_address[guest.address] >= self.most_per_address:
            return False
        if self.count >= self.most:
            oldest = next(iter(self._nameless), None)
            if oldest is None:
                return False
            oldest.close("crowded-out")
            self.leave(oldest)
        self._nameless[guest] = None
        self._per_address[guest.address] += 1
        self.metrics.tcp_connections.set(self.count)
        return True

    def name(self, guest: Guest) -> None:
        """A connection has said who it is: it keeps its place."""
        if self._nameless.pop(guest, guest) is None:
            self._named.add(guest)

    def leave(self, guest: Guest) -> None:
        """A connection has ended."""
        if guest not in self._nameless and guest not in self._named:
            return
        self._nameless.pop(guest, None)
        self._named.discard(guest)
        self._per_address[guest.address] -= 1
        if not self._per_address[guest.address]:
            del self._per_address[guest.address]
        self.metrics.tcp_connections.set(self.count)


def raise_open_files(wanted: int) -> int:
    """Raise the limit of open files as far as it may be; returns it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    target = wanted + OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        target = min(target, hard)
    if soft != resource.RLIM_INFINITY and soft < target:
        resource.setrlimit(resource.RLIMIT_NOFILE, (target, hard))
        soft = target
    if soft != resource.RLIM_INFINITY and soft < wanted + OTHER_FILES:
        log.warning("the limit of open files is %d: fewer than TCP_MAX_CONNECTIONS=%d fit", soft, wanted)
    return wanted + OTHER_FILES if soft == resource.RLIM_INFINITY else soft
