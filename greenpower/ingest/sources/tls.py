"""Listening on a TCP port, with TLS where the settings say so.

A connection is let in, shakes hands in its time, and is then handed on. What belongs here: what comes before the first
byte that a listener sees. What does not: what is said then.

asyncio's own `create_server(ssl=...)` tells of a connection only once its handshake is done: those that never finish
one would have no place, count for no address and in no metric, and could not be crowded out as others are.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from typing import Literal, Protocol, cast

from greenpower.config import ConfigError, Settings
from greenpower.ingest.sources.admission import Admission

log = logging.getLogger(__name__)

Make = Callable[[], asyncio.Protocol]
BACKLOG = 4096
PAUSE = 0.1


class Listener(Protocol):
    """A port that is listened on."""

    port: int

    def close(self) -> None:
        """Listen no more."""


class Entrance:
    """Listens for one of the two kinds of connections."""

    def __init__(self, settings: Settings, face: Literal["gateways", "lines"], admission: Admission) -> None:
        """Raises ConfigError where TLS is to be spoken and there is no certificate to show."""
        self.seconds = settings.tcp_registration_seconds
        self.admission = admission
        self.context = _context(settings) if settings.tcp_tls in (face, "all") else None

    async def listen(self, make: Make, host: str, port: int) -> Listener:
        """Listen. make: the protocol of each connection. Raises OSError where the port cannot be had."""
        loop = asyncio.get_running_loop()
        if self.context is None:
            return _Plain(await loop.create_server(make, host, port, backlog=BACKLOG))
        [(family, *_), *_] = await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        return _Secured(self, make, socket.create_server((host, port), family=family, backlog=BACKLOG))


class _Plain:
    def __init__(self, server: asyncio.Server) -> None:
        self._server = server
        self.port: int = server.sockets[0].getsockname()[1]

    def close(self) -> None:
        self._server.close()


class _Secured:
    def __init__(self, entrance: Entrance, make: Make, listening: socket.socket) -> None:
        listening.setblocking(False)
        self.port: int = listening.getsockname()[1]
        self._listening = listening
        self._accepting = asyncio.create_task(self._accept(entrance, make))

    async def _accept(self, entrance: Entrance, make: Make) -> None:
        loop = asyncio.get_running_loop()
        while True:
            try:
                connection, address = await loop.sock_accept(self._listening)
            except OSError as error:
                log.warning("a connection could not be accepted: %s", error)
                await asyncio.sleep(PAUSE)
                continue
            Handshake(entrance, make, address[0]).begin(connection)

    def close(self) -> None:
        self._accepting.cancel()
        self._listening.close()


class Handshake(asyncio.Protocol):
    """A connection until TLS is spoken on it; it has a place meanwhile, as one that has not said who it is."""

    def __init__(self, entrance: Entrance, make: Make, address: str) -> None:
        self.entrance = entrance
        self.address = address
        self._make = make
        self._task: asyncio.Task[None] | None = None
        self._over = False

    def begin(self, connection: socket.socket) -> None:
        """Shake hands, if there is a place."""
        if self.entrance.admission.enter(self):
            self._task = asyncio.create_task(self._shake(connection))
        else:
            connection.close()
            self.close("refused")

    async def _shake(self, connection: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                lambda: self, connection, ssl=self.entrance.context, ssl_handshake_timeout=self.entrance.seconds
            )
        except OSError:  # of ssl as well, and where the time is over
            self.close("no-tls")

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The handshake is done: who listens takes over."""
        self._over = True
        self.entrance.admission.leave(self)
        inner = self._make()
        cast(asyncio.Transport, transport).set_protocol(inner)
        inner.connection_made(transport)

    def close(self, reason: str) -> None:
        """End the connection; counted under the reason."""
        if self._over:
            return
        self._over = True
        self.entrance.admission.metrics.tcp_closed.labels(reason).inc()
        self.entrance.admission.leave(self)
        if self._task is not None:
            self._task.cancel()


def _context(settings: Settings) -> ssl.SSLContext:
    if settings.tcp_tls_cert is None:
        raise ConfigError(f"TCP_TLS={settings.tcp_tls} needs TCP_TLS_CERT, a certificate to show")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tcp_tls_cert, settings.tcp_tls_key)
    except OSError as error:
        raise ConfigError(f"TCP_TLS_CERT, TCP_TLS_KEY: {settings.tcp_tls_cert} cannot be used: {error}") from None
    return context
