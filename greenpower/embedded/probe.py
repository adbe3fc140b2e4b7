"""How to see that a service answers. Each probe returns what is wrong, empty when nothing is."""

from __future__ import annotations

import contextlib
import http.client
import socket

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Worker

TIMEOUT = 2.0
SHOWN_BODY = 200
SCHEDULER_KEY = "rq:scheduler_instance:{pid}-*"
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def reach(host: str) -> str:
    """An address to call a server at that binds `host`."""
    return EVERYWHERE.get(host, host)


def http_trouble(host: str, port: int, path: str) -> str:
    """GET must answer 200. Not through a proxy, whatever the environment says."""
    connection = http.client.HTTPConnection(reach(host), port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read(SHOWN_BODY).decode(errors="replace").strip()
        except (OSError, http.client.HTTPException) as error:
            return f"GET {path}: {error}"
    return "" if response.status == http.HTTPStatus.OK else f"GET {path}: {response.status} {body}"


def http_silent(host: str, port: int, path: str) -> bool:
    """Whether GET gets no answer at all; one that says what is wrong is an answer."""
    connection = http.client.HTTPConnection(reach(host), port, timeout=TIMEOUT)
    with contextlib.closing(connection):
        try:
            connection.request("GET", path)
            connection.getresponse()
        except (OSError, http.client.HTTPException):
            return True
    return False


def worker_trouble(url: str, pid: int | None) -> str:
    """Process `pid` of this machine (None: any of its processes) must be registered in Redis as an RQ worker."""
    host = socket.gethostname()
    try:
        with _connection(url) as connection:
            found = any(pid in (None, worker.pid) and worker.hostname == host for worker in Worker.all(connection))
    except redis.RedisError as error:
        return f"Redis: {error}"
    return "" if found else "no such worker registered in Redis"


def scheduler_trouble(url: str, pid: int | None) -> str:
    """Process `pid` (None: any) must have the key in Redis that a scheduler refreshes at every round."""
    try:
        with _connection(url) as connection:
            found = any(
                not connection.hexists(key, "death")
                for key in connection.scan_iter(SCHEDULER_KEY.format(pid=pid or "*"))
            )
    except redis.RedisError as error:
        return f"Redis: {error}"
    return "" if found else "no such scheduler registered in Redis"


def _connection(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
