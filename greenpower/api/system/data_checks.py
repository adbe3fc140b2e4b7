"""Health checks of the databases: whether they answer, whether the tiers keep up, whether the disks have room."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pymongo
from redis import Redis
from sqlalchemy import Engine

from greenpower.api.system.health_check import HEALTH_CHECK_SECONDS, Check
from greenpower.catalog.registry import Registry
from greenpower.measure.windows import done_before
from greenpower.mongo.handle import Mongo
from greenpower.mongo.rollups.ranges import ALL_RANGES, name_ranges
from greenpower.mongo.rollups.watermarks import Progress, read_progress
from greenpower.mongo.schema.layout import WATERMARKS
from greenpower.sql.setup import current_revision

# A tier may be this many windows behind, and in any case this long: a run may be under way, or a restart.
MAX_WINDOWS_BEHIND, MAX_TIME_BEHIND = 2, timedelta(minutes=15)
MAX_TIERS_NAMED = 3
MAX_WARNING_CHARACTERS = 500
MIN_FREE_SHARE = 0.05


def check_mongo(mongo: Mongo) -> Check:
    """Whether the telemetry database answers.

    It is away while the driver, which had a server, knows of none.
    """
    has_answered = False

    def probe() -> str:
        nonlocal has_answered
        with pymongo.timeout(HEALTH_CHECK_SECONDS):
            mongo.database.command("ping")
        has_answered = True
        return ""

    def away() -> bool:
        return has_answered and not mongo.database.client.topology_description.has_writable_server()

    return Check("mongo", probe, away)


def check_sql(engine: Engine, expected: str | None) -> Check:
    """Whether the user database answers and has been set up. expected: its revision."""

    def probe() -> str:
        with engine.connect() as connection:
            revision = current_revision(connection)
        if revision == expected:
            return ""
        return f"is at revision {revision}, but needs {expected}: run `greenpower init`"

    return Check("sql", probe)


def check_redis(url: str) -> Check:
    """Whether Redis answers."""

    def probe() -> str:
        with Redis.from_url(
            url, socket_timeout=HEALTH_CHECK_SECONDS, socket_connect_timeout=HEALTH_CHECK_SECONDS
        ) as client:
            client.ping()
        return ""

    return Check("redis", probe)


def check_rollups(mongo: Mongo, registry: Registry) -> Check:
    """Whether the tiers keep up with the readings."""

    def probe() -> str:
        now = datetime.now(UTC)
        late = []
        with pymongo.timeout(HEALTH_CHECK_SECONDS):
            for datatype in registry:
                for tier in datatype.tiers:
                    progress = read_progress(mongo.database[WATERMARKS], datatype.name, tier.prefix)
                    if progress.watermark is None:
                        continue
                    behind = done_before(now, tier.window) - progress.watermark
                    if behind > max(MAX_TIME_BEHIND, timedelta(seconds=MAX_WINDOWS_BEHIND * (tier.window or 0))):
                        late.append((behind, f"{tier.prefix}{datatype.collection}{_hindmost(progress)}"))
        if not late:
            return ""
        worst = sorted(late, reverse=True)[:MAX_TIERS_NAMED]
        named = ", ".join(f"{name} by {behind.total_seconds() / 60:.0f} min" for behind, name in worst)
        return f"{len(late)} tiers are behind: {named}"

    return Check("rollups", probe)


def _hindmost(progress: Progress) -> str:
    """The device ranges that hold a tier's watermark back, where others are farther."""
    reached = {number: progress.reached(frozenset((number,))) for number in ALL_RANGES}
    hindmost = progress.reached(ALL_RANGES)
    behind = frozenset(number for number, time in reached.items() if time == hindmost)
    return "" if behind == ALL_RANGES else f" (device ranges {name_ranges(behind)})"


def check_plugins(registry: Registry) -> Check:
    """Whether all data types are in use: none is stopped by another one's claims."""
    return Check("plugins", lambda: "; ".join(registry.warnings)[:MAX_WARNING_CHARACTERS])


def check_disk(mongo: Mongo, home: Path) -> Check:
    """Whether there is free space for the telemetry database and for our own files."""

    def probe() -> str:
        place = next(path for path in (home, *home.resolve().parents) if path.exists())
        own = psutil.disk_usage(str(place))
        if problem := _full("on this host", own.free, own.total):
            return problem
        with pymongo.timeout(HEALTH_CHECK_SECONDS):
            stats = mongo.database.command("dbStats")
        total, used = stats.get("fsTotalSize", 0), stats.get("fsUsedSize", 0)
        return _full("at MongoDB", total - used, total)

    return Check("disk", probe)


def _full(where: str, free: float, total: float) -> str:
    """What is wrong with a disk; empty if it has enough free space."""
    return f"only {free / total:.1%} of the disk {where} is free" if total and free / total < MIN_FREE_SHARE else ""
