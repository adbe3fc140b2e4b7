"""How to see that a service answers. Each probe returns what is wrong, empty when nothing is."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from datetime import UTC, datetime

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Worker

TIMEOUT = 2.0
SHOWN_BODY = 200
# A worker says that it lives every ten seconds at least, also while a job runs.
HEARTBEAT_SECONDS = 45.0
NO_REDIS = "Redis: "
SCHEDULER_KEY = "rq:scheduler_instance:{pid}-*"
NO_ANSWER = (OSError, http.client.HTTPException)
EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def reach(host: str) -> str:
    """An address to call a server at that binds `host`."""
    return EVERYWHERE.get(host, host)


def http_trouble(host: str, port: int, path: str) -> str:
    """GET must answer 200. Not through a proxy, whatever the environment says."""
    try:
        status, body = _get(host, port, path)
    except NO_ANSWER as error:
        return f"GET {path}: {error}"
    shown = body[:SHOWN_BODY].decode(errors="replace").strip()
    return "" if status == http.HTTPStatus.OK else f"GET {path}: {status} {shown}"


def http_silent(host: str, port: int, path: str) -> bool:
    """Whether GET gets no answer at all; one that says what is wrong is an answer."""
    try:
        _get(host, port, path)
    except NO_ANSWER:
        return True
    return False


def ingest_silent(host: str, port: int) -> bool:
    """Whether ingest gives no answer, or its answer says that its event loop stands still."""
    try:
        _, body = _get(host, port, "/health")
        return not json.loads(body)["parts"]["loop"]["ok"]
    except (*NO_ANSWER, ValueError, KeyError):
        return True


def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET. Raises one of NO_ANSWER."""
    with contextlib.closing(http.client.HTTPConnection(reach(host), port, timeout=TIMEOUT)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def worker_trouble(url: str, pid: int | None) -> str:
    """Process `pid` of this machine (None: any of its processes) must be registered in Redis as an RQ worker, and have
    said so of late."""
    host = socket.gethostname()
    try:
        with _connection(url) as connection:
            found = [
                worker.last_heartbeat
                for worker in Worker.all(connection)
                if pid in (None, worker.pid) and worker.hostname == host and worker.last_heartbeat is not None
            ]
    except redis.RedisError as error:
        return f"{NO_REDIS}{error}"
    if not found:
        return "no such worker registered in Redis"
    age = (datetime.now(UTC) - max(found)).total_seconds()
    return f"its last heartbeat is {age:.0f} s old" if age > HEARTBEAT_SECONDS else ""


def scheduler_trouble(url: str, pid: int | None) -> str:
    """Process `pid` (None: any) must have the key in Redis that a scheduler refreshes at every round."""
    try:
        with _connection(url) as connection:
            found = any(
                not connection.hexists(key, "death")
                for key in connection.scan_iter(SCHEDULER_KEY.format(pid=pid or "*"))
            )
    except redis.RedisError as error:
        return f"{NO_REDIS}{error}"
    return "" if found else "no such scheduler registered in Redis"


def registry_silent(trouble: str) -> bool:
    """Whether what `worker_trouble` or `scheduler_trouble` found is the process's own: not that Redis is away."""
    return bool(trouble) and not trouble.startswith(NO_REDIS)


def _connection(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=TIMEOUT, socket_connect_timeout=TIMEOUT, retry=Retry(NoBackoff(), 0)
    )
