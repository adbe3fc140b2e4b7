"""TCP ports on loopback: which are free, and one that is."""

from __future__ import annotations

import random
import socket

LOOPBACK = "127.0.0.1"
# Below the kernel's ephemeral range (from 32768): an outgoing connection can never sit on the port of a part that is
# being restarted.
FIRST, LAST = 20_000, 32_000
TRIES = 200


def is_free(port: int, host: str = LOOPBACK) -> bool:
    """Whether a listener could bind `port` on `host` now. False too where `host` is no address of this machine."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """A loopback port that nothing listens on. Another process may still take it before you do."""
    for _ in range(TRIES):
        port = random.randint(FIRST, LAST)
        if is_free(port):
            return port
    raise OSError(f"no free port between {FIRST} and {LAST}")
