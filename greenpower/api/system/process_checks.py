"""Health checks of the other processes: broker, ingest and its sources, worker, scheduler."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any

from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Worker

from greenpower.api.system.health_check import HEALTH_CHECK_SECONDS, Check
from greenpower.config import Settings

MAX_HEARTBEAT_AGE = timedelta(minutes=10)
SCHEDULER_KEYS = "rq:scheduler_instance:*"
MAX_REPORT_BYTES = 64 * 1024
MAX_DETAIL_LENGTH = 200


def ingest_report(host: str, port: int) -> tuple[int, dict[str, Any]]:
    """Status and parts of an ingest process's own health. Raises OSError, http.client.HTTPException."""
    connection = http.client.HTTPConnection(host, port, timeout=HEALTH_CHECK_SECONDS)
    with closing(connection):
        connection.request("GET", "/health")
        response = connection.getresponse()
        body = response.read(MAX_REPORT_BYTES)
    try:
        parts = json.loads(body)["parts"]
    except (ValueError, KeyError, TypeError):
        parts = {}
    return response.status, parts if isinstance(parts, dict) else {}


def check_ingest(settings: Settings) -> Check:
    """Whether every ingest process reports that it is healthy."""

    def probe() -> str:
        for place in settings.ingest_places:
            status, parts = ingest_report(*place)
            if status != http.HTTPStatus.OK:
                failed = "".join(f", {name}" for name, part in sorted(parts.items()) if not part.get("ok"))
                return f"{_place_prefix(settings, place)}reports a failure ({status}{failed})"
        return ""

    return Check("ingest", probe)


def check_source(settings: Settings, name: str) -> Check:
    """Whether a source of ingest is healthy in every process that serves it. name: `mqtt` or `tcp`."""

    def probe() -> str:
        serving = 0
        for place in settings.ingest_places:
            _, parts = ingest_report(*place)
            if name not in parts:
                continue
            serving += 1
            if not parts[name].get("ok"):
                detail = str(parts[name].get("problem") or "not connected")[:MAX_DETAIL_LENGTH]
                return f"ingest: {_place_prefix(settings, place)}{detail}"
        return "" if serving else f"ingest does not serve {name}"

    return Check(f"ingest-{name}", probe)


def _place_prefix(settings: Settings, place: tuple[str, int]) -> str:
    """Which of several ingest processes, for a message; empty if there is only one."""
    return f"{place[0]}:{place[1]} " if len(settings.ingest_places) > 1 else ""


def check_port(name: str, host: str, port: int) -> Check:
    """Whether something accepts connections on a port."""

    def probe() -> str:
        socket.create_connection((host, port), HEALTH_CHECK_SECONDS).close()
        return ""

    return Check(name, probe)


def check_worker(url: str) -> Check:
    """Whether a worker runs: it sends heartbeats to Redis."""

    def probe() -> str:
        oldest = datetime.now(UTC) - MAX_HEARTBEAT_AGE
        with _redis(url) as connection:
            beats = [worker.last_heartbeat for worker in Worker.all(connection)]
        if any(beat is not None and beat.astimezone(UTC) > oldest for beat in beats):
            return ""
        return "no worker runs: start `greenpower worker`"

    return Check("worker", probe)


def check_scheduler(url: str) -> Check:
    """Whether a scheduler runs: its key in Redis expires soon after its last round."""

    def probe() -> str:
        with _redis(url) as connection:
            if any(not connection.hexists(key, "death") for key in connection.scan_iter(SCHEDULER_KEYS)):
                return ""
        return "no scheduler runs: start `greenpower scheduler`"

    return Check("scheduler", probe)


def _redis(url: str) -> Redis:
    return Redis.from_url(
        url,
        socket_timeout=HEALTH_CHECK_SECONDS,
        socket_connect_timeout=HEALTH_CHECK_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )
