"""The device job: registers the devices that ingest has seen, writes the settings cache that ingest reads, and marks
revoked logins in Redis.

Each step compares what should be with what is, and writes the difference. So it may be repeated, and several may run
at once, beside the API.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from datetime import timedelta

from pymongo.database import Database
from redis import Redis, RedisError
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from greenpower.bus import revocation
from greenpower.config import load_settings
from greenpower.jobs.schedule import Entry
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.devices.seen import read_types
from greenpower.mongo.devices.settings import DeviceSettings, read_settings, write_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, SEEN
from greenpower.sql import ApiKey, Device, DeviceType, TokenFamily
from greenpower.sql.session import sql_session
from greenpower.sql.time import now

log = logging.getLogger(__name__)

REGISTER_ATTEMPTS = 3
DEVICES_JOB_SECONDS = 120
UNREGISTERED = {"registered": False, "timezone": None, "interval_seconds": None, "zone_id": None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """How many devices, or types of devices, were registered, and how many settings were written."""

    registered: int
    written: int


def devices_entry() -> Entry:
    """The job, every minute."""
    return Entry(
        name="devices", function="greenpower.jobs.device_sync.sync", args=(), every=60, timeout=DEVICES_JOB_SECONDS
    )


def sync() -> str:
    """What RQ runs. Raises the errors of the databases; the next run does everything again."""
    settings = load_settings()
    with (
        sync_client(settings, appname="greenpower-worker") as client,
        sql_session(settings) as session,
        closing(Redis.from_url(settings.need("REDIS_URL"), decode_responses=True)) as redis,
    ):
        done = sync_devices(session, client[settings.mongo_db_name], add=settings.device_policy == "open")
        try:
            mark_revocations(session, redis)
        except RedisError as error:
            log.warning("revocations are not in Redis: %.200s", error)
    return f"{done.registered} registered, {done.written} settings written"


def sync_devices(session: Session, db: Database[Document], *, add: bool = True) -> Synced:
    """Register new devices and bring the settings cache up to date. Raises PyMongoError, SQLAlchemyError."""
    return Synced(registered=register(session, db, add=add), written=write_settings_cache(session, db))


def register(session: Session, db: Database[Document], *, add: bool = True) -> int:
    """Add the devices, and the types of devices, that ingest has seen. Returns how many were added.

    add: whether a device becomes registered by being seen; new types of a registered device always do.
    """
    for attempt in range(1, REGISTER_ATTEMPTS + 1):
        try:
            return _register(session, db, add)
        except IntegrityError:  # the API or another worker changed the registry meanwhile
            session.rollback()
            if attempt == REGISTER_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _register(session: Session, db: Database[Document], add: bool) -> int:
    # The registry first: a device that is deleted after this is not in what is read next, unless it has sent again.
    numbers = {device_id: number for number, device_id in session.execute(select(Device.id, Device.device_id))}
    known: defaultdict[int, set[str]] = defaultdict(set)
    for number, name in session.execute(select(DeviceType.device_id, DeviceType.type)):
        known[number].add(name)
    session.rollback()
    added = 0
    for device_id, types in read_types(db[SEEN]).items():
        found = numbers.get(device_id)
        if found is None and not add:
            continue
        if found is None:
            session.add(Device(device_id=device_id, types=[DeviceType(type=name) for name in sorted(types)]))
            added += 1
            continue
        for name in sorted(types - known[found]):
            session.add(DeviceType(device_id=found, type=name))
            added += 1
    session.commit()
    return added


def write_settings_cache(session: Session, db: Database[Document]) -> int:
    """Write the settings that differ from the registry. Returns how many changed."""
    # The cache first: a device that is in it, and not in the registry read after it, was deleted, not just added.
    stored = read_settings(db[DEVICE_SETTINGS])
    columns = (Device.device_id, Device.updated_at, Device.timezone, Device.interval_seconds, Device.zone_id)
    wanted = {
        device_id: DeviceSettings(
            device_id=device_id, updated_at=updated_at, timezone=timezone, interval_seconds=interval, zone_id=zone_id
        )
        for device_id, updated_at, timezone, interval, zone_id in session.execute(select(*columns))
    }
    session.rollback()
    changed = [one for one in wanted.values() if not _same(stored.get(one.device_id, {}), one.document())]
    for device_id in stored.keys() - wanted.keys():
        if not _same(stored[device_id], UNREGISTERED):
            changed.append(DeviceSettings(device_id=device_id, updated_at=now(), registered=False))
    return write_settings(db[DEVICE_SETTINGS], changed)


def _same(document: Mapping[str, object], wanted: Mapping[str, object]) -> bool:
    return all(name in document and document[name] == value for name, value in wanted.items())


def mark_revocations(session: Session, redis: Redis) -> None:
    """Mark in Redis the revoked logins and keys that may still have valid access tokens. Raises RedisError."""
    since = now() - timedelta(seconds=revocation.ACCESS_SECONDS)
    families = list(session.scalars(select(TokenFamily.id).where(TokenFamily.revoked_at >= since)))
    families += [key.family for key in session.scalars(select(ApiKey).where(ApiKey.revoked_at >= since))]
    session.rollback()
    revocation.mark_revoked(redis, families)
