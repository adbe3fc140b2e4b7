"""TCP ports: checking one, and finding a free one."""

from __future__ import annotations

import os
import random
import socket
from collections.abc import Iterator
from functools import cache
from itertools import cycle, islice

LOOPBACK = "127.0.0.1"
# Below the ephemeral range of the kernel (from 32768), so that no outgoing connection takes the port of a part while it
# restarts.
FIRST_PORT, LAST_PORT = 20_000, 32_000
MAX_PORTS_TRIED = 200


def bind_trouble(port: int, host: str = LOOPBACK) -> str:
    """Why nothing can listen on `host`:`port` now; empty if it is free."""
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
    """A loopback port that nothing listens on. Another process may still take it before you do.

    A process is given each port once before it is given one again: of two that ask at once each has its own.
    """
    for port in islice(_ports(os.getpid()), MAX_PORTS_TRIED):
        if is_free(port):
            return port
    raise OSError(f"no free port between {FIRST_PORT} and {LAST_PORT}")


@cache
def _ports(process: int) -> Iterator[int]:
    """All ports in turn, again and again, from a random one on. process: its id; one that was forked begins anew."""
    first = random.randint(FIRST_PORT, LAST_PORT)
    return cycle([*range(first, LAST_PORT + 1), *range(FIRST_PORT, first)])
