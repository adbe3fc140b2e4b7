"""Listening on a TCP port, with TLS where the settings say so, and knowing the connections that came in.

What belongs here: what comes before the first byte that a connection sees. What does not: what is said then.

asyncio's own `create_server(ssl=...)` tells of a connection only once its handshake is done: those that never finish
one would have no place, count for no address and in no metric, and could not be crowded out as others are.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

from greenpower.config import ConfigError, Settings
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.connection import TcpConnection

log = logging.getLogger(__name__)

LISTEN_BACKLOG = 4096
# After an error, such as no more open files.
ACCEPT_AGAIN_SECONDS = 0.1

MakeConnection = Callable[["TcpListener"], TcpConnection]


class TcpListener:
    """A port, and its connections. setting: the name of the port's setting, for errors. tls: None for plain TCP."""

    def __init__(
        self,
        make: MakeConnection,
        *,
        host: str,
        port: int,
        setting: str,
        admission: Admission,
        tls: ssl.SSLContext | None,
        handshake_seconds: float,
    ) -> None:
        self.host, self.port = host, port
        self.admission = admission
        self.connections: set[TcpConnection] = set()
        self._make = make
        self._setting = setting
        self._tls = tls
        self._handshake_seconds = handshake_seconds
        self._server: asyncio.Server | None = None
        self._socket: socket.socket | None = None

    @property
    def listening_to(self) -> str:
        """Host and port; empty while nothing is listened to."""
        return f"{self.host}:{self.port}" if self._server is not None or self._socket is not None else ""

    async def start(self) -> None:
        """Listen. Raises ConfigError where the port cannot be had."""
        self.admission.raise_open_files()
        try:
            await (self._listen_plain() if self._tls is None else self._listen_tls())
        except OSError as error:
            raise ConfigError(f"{self._setting}: cannot listen on {self.host}:{self.port}: {error.strerror}") from None

    def stop(self) -> None:
        """Listen no more. Connections stay."""
        server, self._server = self._server, None
        if server is not None:
            server.close()
        listening, self._socket = self._socket, None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()

    def close_all(self, *, flush: bool = False) -> None:
        """End every connection."""
        for connection in list(self.connections):
            connection.close("stopping", flush=flush)

    def admit(self, connection: TcpConnection) -> bool:
        """Give a connection its place, if there is one."""
        if not self.admission.enter(connection):
            return False
        self.connections.add(connection)
        return True

    def forget(self, connection: TcpConnection) -> None:
        """A connection has ended: it gives its place back. May be called again."""
        self.connections.discard(connection)
        self.admission.leave(connection)

    async def _listen_plain(self) -> None:
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(partial(self._make, self), self.host, self.port, backlog=LISTEN_BACKLOG)
        self.port = self._server.sockets[0].getsockname()[1]

    async def _listen_tls(self) -> None:
        loop = asyncio.get_running_loop()
        [(family, *_), *_] = await loop.getaddrinfo(
            self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self._socket = socket.create_server((self.host, self.port), family=family, backlog=LISTEN_BACKLOG)
        self._socket.setblocking(False)
        self.port = self._socket.getsockname()[1]
        loop.add_reader(self._socket, self._accept)

    def _accept(self) -> None:
        listening = self._socket
        if listening is None:
            return
        try:
            accepted, address = listening.accept()
        except (BlockingIOError, InterruptedError, ConnectionAbortedError):
            return
        except OSError as error:
            log.warning("a connection could not be accepted: %s", error)
            loop = asyncio.get_running_loop()
            loop.remove_reader(listening)
            loop.call_later(ACCEPT_AGAIN_SECONDS, self._accept_again)
            return
        accepted.setblocking(False)
        self._shake_hands(accepted, address[0])

    def _accept_again(self) -> None:
        if self._socket is not None:
            asyncio.get_running_loop().add_reader(self._socket, self._accept)

    def _shake_hands(self, accepted: socket.socket, address: str) -> None:
        """A connection has its place while it shakes hands, as one that has not said who it is."""
        connection = self._make(self)
        if not connection.admit(address):
            accepted.close()
            return
        handshake = asyncio.get_running_loop().create_task(
            asyncio.get_running_loop().connect_accepted_socket(
                lambda: connection, accepted, ssl=self._tls, ssl_handshake_timeout=self._handshake_seconds
            )
        )
        connection.handshake = handshake
        handshake.add_done_callback(partial(_shaken, connection, accepted))


def _shaken(connection: TcpConnection, accepted: socket.socket, handshake: asyncio.Task[Any]) -> None:
    if not handshake.cancelled() and handshake.exception() is None:
        return
    # A handshake fails with an OSError, of ssl as well, and where its time is over.
    connection.close("no-tls")
    accepted.close()


def tls_context(settings: Settings, port: Literal["gateways", "lines"]) -> ssl.SSLContext | None:
    """What to speak TLS with on a port; None where it is plain TCP.

    Raises ConfigError where there is no certificate to show.
    """
    if settings.tcp_tls not in (port, "all"):
        return None
    if settings.tcp_tls_cert is None:
        raise ConfigError(f"TCP_TLS={settings.tcp_tls} needs TCP_TLS_CERT, a certificate to show")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tcp_tls_cert, settings.tcp_tls_key)
    except OSError as error:
        raise ConfigError(f"TCP_TLS_CERT, TCP_TLS_KEY: {settings.tcp_tls_cert} cannot be used: {error}") from None
    return context
