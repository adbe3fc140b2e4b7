"""TCP ports: whether one can be listened on, and one on loopback that can."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range (from 32768): an outgoing connection can never sit on the port of a part that is
# being restarted.
FIRST, LAST = 20_000, 32_000
TRIES = 200


def bind_trouble(port: int, host: str = LOOPBACK) -> str:
    """Why nothing can listen on `host`:`port` now; empty where it can."""
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
            probe.listen(1)
    except OSError as error:
        return (error.strerror or str(error)).lower()
    return ""


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether something can listen on `host`:`port` now."""
    return not bind_trouble(port, host)


def free_port() -> int:
    """A loopback port that nothing listens on. Another process may still take it before you do."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)
        if is_free(port):
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")
