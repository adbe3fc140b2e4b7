"""A load of GET requests over some connections that stay open; bare sockets, so that it takes little of the machine.

Prints one line of JSON: {"rate", "p50_ms", "p99_ms"}. Paths come on stdin, a line each, taken at random.
"""

from __future__ import annotations

import argparse
import json
import random
import socket
import sys
import threading
import time


def fetch(connection: socket.socket, request: bytes) -> None:
    """Send a request and read its answer to the end. Raises RuntimeError for anything but 200."""
    connection.sendall(request)
    data = connection.recv(1 << 16)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += connection.recv(1 << 16)
    head = data[:end].lower()
    if b" 200 " not in head.splitlines()[0]:
        raise RuntimeError(data[:500].decode(errors="replace"))
    left = int(head.partition(b"content-length:")[2].split()[0]) - (len(data) - end - 4)
    while left > 0:
        left -= len(connection.recv(1 << 18))


def work(port: int, requests: list[bytes], seconds: float, times: list[float]) -> None:
    """One connection's share."""
    with socket.create_connection(("127.0.0.1", port), timeout=30) as connection:
        fetch(connection, requests[0])
        end = time.perf_counter() + seconds
        while (began := time.perf_counter()) < end:
            fetch(connection, random.choice(requests))
            times.append(time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--token", required=True)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=5)
    given = parser.parse_args()
    head = f"HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {given.token}\r\n\r\n"
    requests = [f"GET {path.strip()} {head}".encode() for path in sys.stdin]
    times: list[float] = []
    threads = [
        threading.Thread(target=work, args=(given.port, requests, given.seconds, times))
        for _ in range(given.connections)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    times.sort()
    rate = len(times) / given.seconds
    print(json.dumps({
        "rate": rate, "p50_ms": 1000 * times[len(times) // 2], "p99_ms": 1000 * times[int(len(times) * 0.99)]
    }))  # fmt: skip


if __name__ == "__main__":
    main()
