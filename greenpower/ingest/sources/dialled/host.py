"""A host that we connect to, again and again: dialling, back-off, and what is known of the connection.

What belongs here: when a host is dialled. What does not: any byte of a protocol (`modbus`, `telegrams`), a connection
once it is there (`sources.connection`).
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable
from typing import Any

from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.connection import TcpConnection
from greenpower.loops import Backoff

log = logging.getLogger(__name__)

CONNECT_SECONDS = 10.0
# Hosts are not all dialled in the same moment, after a start or when a network is back.
FIRST_DIAL_SECONDS = 1.0
REDIAL = Backoff(first=0.5, longest=60.0, steady=0.0)

MakeDialled = Callable[["DialledHost"], TcpConnection]


class DialledHost:
    """One host and port, and the connection to it, which is made again when it ends. It is the `listener` of that."""

    def __init__(self, host: str, port: int, make: MakeDialled, admission: Admission) -> None:
        self.host, self.port = host, port
        self.admission = admission
        self.failures = 0
        self.last_error = ""
        self.connection: TcpConnection | None = None
        self._make = make
        self._dialling: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def is_connected(self) -> bool:
        """Whether there is a connection."""
        return self.connection is not None and self.connection.transport is not None

    def start(self) -> None:
        """Dial, and go on until `stop`."""
        self._dial_in(FIRST_DIAL_SECONDS * random.random())

    def check(self) -> None:
        """Dial where nothing else would: whatever went wrong, a host is never forgotten."""
        if self.connection is None and self._timer is None and (self._dialling is None or self._dialling.done()):
            self._dial_in(0.0)

    def stop(self) -> None:
        """End the connection, and dial no more."""
        self._stopping = True
        if self._timer is not None:
            self._timer.cancel()
        if self._dialling is not None:
            self._dialling.cancel()
        if self.connection is not None:
            self.connection.close("stopping")

    def works(self) -> None:
        """The host says what it is to say."""
        if self.failures:
            log.info("%s:%d answers again", self.host, self.port)
        self.failures, self.last_error = 0, ""

    def fails(self, why: str) -> None:
        """The host could not be reached, or the connection ended. It is dialled after a pause."""
        self.failures += 1
        if why != self.last_error:  # once, not at each try
            log.warning("%s:%d: %s", self.host, self.port, why)
        self.last_error = why
        self._dial_in(REDIAL.pause(self.failures))

    def admit(self, connection: TcpConnection) -> bool:
        """We asked for it."""
        return True

    def forget(self, connection: TcpConnection) -> None:
        """A connection has ended. May be called again."""
        if self.connection is connection:
            self.connection = None
            self.fails(connection.ended_because or "lost")

    def health(self) -> dict[str, Any]:
        """`{"connected", "failures", "last_error"}`."""
        return {"connected": self.is_connected, "failures": self.failures, "last_error": self.last_error}

    def _dial_in(self, seconds: float) -> None:
        if self._stopping:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_later(seconds, self._dial)

    def _dial(self) -> None:
        self._timer = None
        self._dialling = asyncio.get_running_loop().create_task(self._connect())

    async def _connect(self) -> None:
        try:
            connection = self._make(self)
            self.connection = connection
            async with asyncio.timeout(CONNECT_SECONDS):
                await asyncio.get_running_loop().create_connection(lambda: connection, self.host, self.port)
        except (OSError, TimeoutError) as error:
            self.connection = None
            self.fails(_reason(error))
        except Exception:
            log.exception("%s:%d cannot be dialled", self.host, self.port)
            self.connection = None
            self.fails("failed")


def _reason(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return f"no connection in {CONNECT_SECONDS:.0f} s"
    return (getattr(error, "strerror", None) or str(error) or type(error).__name__).lower()[:200]
