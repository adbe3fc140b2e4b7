"""Checks of the system's parts beside the databases: broker, ingest's sources, worker, scheduler, rollups, disk."""

from __future__ import annotations

import http.client
import json
import socket
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pymongo
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from rq import Worker

from greenpower.api.system.health_check import SECONDS, Check, Unwell
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.measure.grace import done_before
from greenpower.mongo.handle import Mongo
from greenpower.mongo.rollups.watermarks import read_progress
from greenpower.mongo.schema.layout import WATERMARKS

HEARTBEAT = timedelta(minutes=10)
SCHEDULERS = "rq:scheduler_instance:*"
# A tier may be so many windows behind, and in any case so long: a run that is under way, a restart.
WINDOWS, LATEST = 2, timedelta(minutes=15)
LEAST_FREE = 0.05
SHOWN = 3


def ingest_report(host: str, port: int) -> tuple[int, dict[str, Any]]:
    """Status and parts of one ingest process's own health. Raises OSError, http.client.HTTPException."""
    connection = http.client.HTTPConnection(host, port, timeout=SECONDS)
    with closing(connection):
        connection.request("GET", "/health")
        response = connection.getresponse()
        body = response.read(64 * 1024)
    try:
        parts = json.loads(body)["parts"]
    except (ValueError, KeyError, TypeError):
        parts = {}
    return response.status, parts if isinstance(parts, dict) else {}


def check_ingest(settings: Settings) -> Check:
    """Whether every ingest process is well, by its own account."""

    def probe() -> None:
        for place in settings.ingest_places:
            status, parts = ingest_report(*place)
            if status != http.HTTPStatus.OK:
                ill = "".join(f", {name}" for name, part in sorted(parts.items()) if not part.get("ok"))
                raise Unwell(f"{_named(settings, place)}says it is unwell ({status}{ill})")

    return Check("ingest", probe)


def check_source(settings: Settings, name: str) -> Check:
    """Whether one source of ingest is well, in every process that serves it: `mqtt` or `tcp`."""

    def probe() -> None:
        serving = 0
        for place in settings.ingest_places:
            _, parts = ingest_report(*place)
            if name not in parts:
                continue
            serving += 1
            if not parts[name].get("ok"):
                where = _named(settings, place)
                raise Unwell(f"ingest: {where}{str(parts[name].get('problem') or 'not connected')[:200]}")
        if not serving:
            raise Unwell(f"ingest does not serve {name}")

    return Check(f"ingest-{name}", probe)


def _named(settings: Settings, place: tuple[str, int]) -> str:
    """Which of several processes, for a message; nothing where there is one."""
    return f"{place[0]}:{place[1]} " if len(settings.ingest_places) > 1 else ""


def check_port(name: str, host: str, port: int) -> Check:
    """Whether something takes connections there."""

    def probe() -> None:
        socket.create_connection((host, port), SECONDS).close()

    return Check(name, probe)


def check_worker(url: str) -> Check:
    """Whether a worker lives."""

    def probe() -> None:
        oldest = datetime.now(UTC) - HEARTBEAT
        with _redis(url) as connection:
            beats = [worker.last_heartbeat for worker in Worker.all(connection)]
        if not any(beat is not None and beat.astimezone(UTC) > oldest for beat in beats):
            raise Unwell("no worker runs: start `greenpower worker`")

    return Check("worker", probe)


def check_scheduler(url: str) -> Check:
    """Whether a scheduler lives: its key in Redis expires soon after its last round."""

    def probe() -> None:
        with _redis(url) as connection:
            if not any(not connection.hexists(key, "death") for key in connection.scan_iter(SCHEDULERS)):
                raise Unwell("no scheduler runs: start `greenpower scheduler`")

    return Check("scheduler", probe)


def check_rollups(mongo: Mongo, registry: Registry) -> Check:
    """Whether the tiers keep up with the readings."""

    def probe() -> None:
        now = datetime.now(UTC)
        late = []
        with pymongo.timeout(SECONDS):
            for datatype in registry:
                for tier in datatype.tiers:
                    progress = read_progress(mongo.database[WATERMARKS], datatype.name, tier.prefix)
                    if progress.watermark is None:
                        continue
                    behind = done_before(now, tier.window) - progress.watermark
                    if behind > max(LATEST, timedelta(seconds=WINDOWS * (tier.window or 0))):
                        late.append((behind, f"{tier.prefix}{datatype.collection}"))
        if late:
            late.sort(reverse=True)
            named = ", ".join(f"{name} by {behind.total_seconds() / 60:.0f} min" for behind, name in late[:SHOWN])
            raise Unwell(f"{len(late)} tiers are behind: {named}")

    return Check("rollups", probe)


def check_disk(mongo: Mongo, home: Path) -> Check:
    """Whether there is room where the telemetry database and our own data lie."""

    def probe() -> None:
        place = next(path for path in (home, *home.resolve().parents) if path.exists())
        _room("here", psutil.disk_usage(str(place)).free, psutil.disk_usage(str(place)).total)
        with pymongo.timeout(SECONDS):
            stats = mongo.database.command("dbStats")
        if "fsTotalSize" in stats:
            _room("at MongoDB", stats["fsTotalSize"] - stats["fsUsedSize"], stats["fsTotalSize"])

    return Check("disk", probe)


def _room(where: str, free: float, total: float) -> None:
    if total and free / total < LEAST_FREE:
        raise Unwell(f"{free / total:.1%} free {where}")


def _redis(url: str) -> Redis:
    return Redis.from_url(url, socket_timeout=SECONDS, socket_connect_timeout=SECONDS, retry=Retry(NoBackoff(), 0))
