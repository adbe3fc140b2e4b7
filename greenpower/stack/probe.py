"""Checks whether a service answers. Each returns the problem, empty if there is none."""

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

PROBE_SECONDS = 2.0
MAX_SHOWN_BYTES = 200
# A worker sends a heartbeat at least every ten seconds, also while a job runs.
HEARTBEAT_SECONDS = 45.0
NO_REDIS = "Redis: "
SCHEDULER_KEY = "rq:scheduler_instance:{pid}-*"
NO_ANSWER = (OSError, http.client.HTTPException)
WILDCARD_HOSTS = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}


def reach(host: str) -> str:
    """The address for clients of a server that listens on `host`."""
    return WILDCARD_HOSTS.get(host, host)


def http_trouble(host: str, port: int, path: str) -> str:
    """GET must answer 200. Proxies of the environment are not used."""
    try:
        status, body = _get(host, port, path)
    except NO_ANSWER as error:
        return f"GET {path}: {error}"
    shown = body[:MAX_SHOWN_BYTES].decode(errors="replace").strip()
    return "" if status == http.HTTPStatus.OK else f"GET {path}: {status} {shown}"


def http_silent(host: str, port: int, path: str) -> bool:
    """Whether GET gets no answer at all; an error status is an answer."""
    try:
        _get(host, port, path)
    except NO_ANSWER:
        return True
    return False


def ingest_silent(host: str, port: int) -> bool:
    """Whether ingest gives no answer, or reports that its event loop is stuck."""
    try:
        _, body = _get(host, port, "/health")
        return not json.loads(body)["parts"]["loop"]["ok"]
    except (*NO_ANSWER, ValueError, KeyError):
        return True


def _get(host: str, port: int, path: str) -> tuple[int, bytes]:
    """Status and body of a GET. Raises one of NO_ANSWER."""
    with contextlib.closing(http.client.HTTPConnection(reach(host), port, timeout=PROBE_SECONDS)) as connection:
        connection.request("GET", path)
        response = connection.getresponse()
        return response.status, response.read()


def worker_trouble(url: str, pid: int | None) -> str:
    """Process `pid` of this machine (None: any process) must be an RQ worker in Redis with a recent heartbeat."""
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
        return "the worker is not registered in Redis"
    age = (datetime.now(UTC) - max(found)).total_seconds()
    return f"the last heartbeat of the worker is {age:.0f} s old" if age > HEARTBEAT_SECONDS else ""


def scheduler_trouble(url: str, pid: int | None) -> str:
    """Process `pid` (None: any process) must have the key in Redis that a scheduler refreshes in each round."""
    try:
        with _connection(url) as connection:
            found = any(
                not connection.hexists(key, "death")
                for key in connection.scan_iter(SCHEDULER_KEY.format(pid=pid or "*"))
            )
    except redis.RedisError as error:
        return f"{NO_REDIS}{error}"
    return "" if found else "the scheduler is not registered in Redis"


def registry_silent(trouble: str) -> bool:
    """Whether a problem found by `worker_trouble` or `scheduler_trouble` is one of the process, not of Redis."""
    return bool(trouble) and not trouble.startswith(NO_REDIS)


def _connection(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url, socket_timeout=PROBE_SECONDS, socket_connect_timeout=PROBE_SECONDS, retry=Retry(NoBackoff(), 0)
    )
