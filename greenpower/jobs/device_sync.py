"""The device job: registers the devices that ingest has seen and deletes unconfirmed ones that are silent, writes the
settings cache that ingest and the rollups read, invalidates what a changed greatest power or a correction touches,
finishes meter exchanges that were cut short, writes missing entries of the audit, and marks in Redis revoked logins,
which devices restricted users and keys may see, and whether there is anything to do for alarms.

Each step compares what should be with what is, and writes the difference. So it may be repeated, and several may run
at once, beside the API.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import timedelta

from pymongo.database import Database
from redis import Redis, RedisError
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.alarms.wanted import mark_wanted
from greenpower.archive.database import open_database
from greenpower.bus import revocation
from greenpower.bus.visibility import write_visible
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings, load_settings
from greenpower.jobs.device_registration import WITHOUT_LIMIT, RegistrationRules, confirm_lasting, expire, register
from greenpower.jobs.missing_entries import write_missing_entries
from greenpower.jobs.schedule import Entry
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.devices.settings import DeviceSettings, forget_deleted, read_settings, write_settings
from greenpower.mongo.rollups.exchanges import apply_exchange, cut_short
from greenpower.mongo.rollups.incident_changes import invalidate_changed_incidents
from greenpower.mongo.rollups.settings_change import invalidate_changed_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, EXCHANGES
from greenpower.sql import ApiKey, Device, TokenFamily
from greenpower.sql.replacement import device_of, end_take_over, take_over
from greenpower.sql.restriction import devices_of_all
from greenpower.sql.session import sql_session
from greenpower.sql.time import now

log = logging.getLogger(__name__)

DEVICES_JOB_SECONDS = 120
# The entry of a younger change may be about to be written by the process that made it, or the change to be undone.
BEING_WRITTEN = timedelta(seconds=30)
SETTINGS = ("timezone", "interval_seconds", "greatest_power", "zone_id")
UNREGISTERED = {"registered": False, **dict.fromkeys(SETTINGS)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Synced:
    """How many devices, or types of devices, were registered, how many were confirmed or expired, and how many settings
    were written."""

    registered: int
    written: int
    confirmed: int = 0
    expired: int = 0


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
        db = open_database(client, settings)
        write_missing_entries(session, db, now() - BEING_WRITTEN)
        rules = RegistrationRules.of(settings)
        expired = expire(session, db, rules, (datatype.name for datatype in get_registry()), now())
        done = replace(sync_devices(session, db, rules), expired=expired)
        forget_deleted(db[DEVICE_SETTINGS], now())
        invalidate_changed_settings(db, get_registry(), settings)
        invalidate_changed_corrections(db, get_registry(), settings)
        invalidate_changed_incidents(db, get_registry(), settings)
        finish_exchanges(session, db, settings)
        try:
            mark_revocations(session, redis)
            write_visible(redis, devices_of_all(session))
            mark_wanted(session, db, redis)
        except RedisError as error:
            log.warning("revocations, who may see which devices, or alarms, are not in Redis: %.200s", error)
    return (
        f"{done.registered} registered, {done.written} settings written, {done.confirmed} confirmed, "
        f"{done.expired} expired"
    )


def sync_devices(session: Session, db: Database[Document], rules: RegistrationRules = WITHOUT_LIMIT) -> Synced:
    """Register new devices, confirm those that the policy does, and bring the settings cache up to date.

    Raises PyMongoError, SQLAlchemyError.
    """
    registered, confirmed = register(session, db, rules), confirm_lasting(session, db, rules)
    return Synced(registered=registered, confirmed=confirmed, written=write_settings_cache(session, db))


def finish_exchanges(session: Session, db: Database[Document], settings: Settings) -> int:
    """Do what is left of meter exchanges that were cut short. Returns how many. Raises the errors of the databases."""
    found = cut_short(db[EXCHANGES])
    for exchange in found:
        old_id, new_id = exchange["device_id"], exchange["new_device_id"]
        if new_id is not None and exchange["revoked_at"] is not None:
            end_take_over(session, old_id, new_id, exchange["took"])
        elif new_id is not None and (old := device_of(session, old_id)) is not None:
            take_over(session, old, new_id)
        session.commit()
        apply_exchange(db, get_registry(), settings, exchange)
    return len(found)


def write_settings_cache(session: Session, db: Database[Document]) -> int:
    """Write the settings that differ from the registry. Returns how many changed."""
    # The cache first: a device that is in it, and not in the registry read after it, was deleted, not just added.
    stored = read_settings(db[DEVICE_SETTINGS])
    names = ("device_id", "updated_at", *SETTINGS)
    rows = session.execute(select(*(getattr(Device, name) for name in names), Device.confirmed_at.is_not(None)))
    wanted = {row[0]: DeviceSettings(**dict(zip((*names, "confirmed"), row, strict=True))) for row in rows}
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
