"""Certificates for tests, and a server that speaks TLS before one that cannot: the wheels of Valkey and PostgreSQL are
built without it.
"""

from __future__ import annotations

import select
import socket
import ssl
from contextlib import suppress
from pathlib import Path

import trustme

from tests.proxy import Proxy

SSL_REQUEST = bytes.fromhex("0000000804d2162f")  # PostgreSQL's: asks in the clear whether TLS may begin


def write_authority(folder: Path, name: str, authority: trustme.CA) -> Path:
    """The file by which an authority is trusted."""
    path = folder / f"{name}.ca"
    authority.cert_pem.write_to_path(str(path))
    return path


def write_certificate(folder: Path, name: str, authority: trustme.CA, subject: str) -> tuple[Path, Path]:
    """Certificate and key of a subject."""
    issued = authority.issue_cert(subject)
    chain, key = folder / f"{name}.pem", folder / f"{name}.key"
    chain.write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
    key.write_bytes(issued.private_key_pem.bytes())
    return chain, key


class TlsFront(Proxy):
    """Listens with TLS and hands on to a server in the clear, as stunnel does.

    target: host and port, or the path of a socket. postgres: whether TLS begins after PostgreSQL's question.
    """

    def __init__(self, target: tuple[str, int] | Path, chain: Path, key: Path, *, postgres: bool = False) -> None:
        super().__init__()
        self.target = target
        self.postgres = postgres
        self.connections = 0
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._context.load_cert_chain(chain, key)

    def serve(self, client: socket.socket) -> None:
        with client, suppress(OSError):
            if self.postgres:
                if client.recv(len(SSL_REQUEST), socket.MSG_WAITALL) != SSL_REQUEST:
                    return
                client.sendall(b"S")
            with self._context.wrap_socket(client, server_side=True) as inner, self._reach() as server:
                self.connections += 1
                Relay(inner, server).run()

    def _reach(self) -> socket.socket:
        if isinstance(self.target, tuple):
            return socket.create_connection(self.target)
        found = socket.socket(socket.AF_UNIX)
        found.connect(str(self.target))
        return found


class Relay:
    """Bytes both ways in one thread, since a TLS connection may not be used by two at once, until one side ends."""

    def __init__(self, inner: ssl.SSLSocket, server: socket.socket) -> None:
        self.inner, self.server = inner, server

    def run(self) -> None:
        self.inner.settimeout(60)
        while True:
            ready = [self.inner] if self.inner.pending() else select.select([self.inner, self.server], [], [], 10)[0]
            for source, sink in ((self.inner, self.server), (self.server, self.inner)):
                if source in ready:
                    data = source.recv(65536)
                    if not data:
                        return
                    sink.sendall(data)
