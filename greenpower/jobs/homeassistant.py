"""The Home Assistant job: announces the devices of the registry on the broker, and their newest values, every few
seconds. Where `HOMEASSISTANT_DISCOVERY` was switched off, it removes what it had announced.

It compares what should be retained with what the broker took before. So it may be killed at any point, and be repeated.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import closing

import orjson
from redis import Redis
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.bus.keys import latest_key, status_key
from greenpower.bus.message import Message, read_latest
from greenpower.catalog.registry import Registry, get_registry
from greenpower.config import load_settings
from greenpower.control.publish import NoBroker, visit
from greenpower.homeassistant.announcement import KnownDevice
from greenpower.homeassistant.publish import announce, is_announced, withdraw
from greenpower.jobs.schedule import Entry
from greenpower.sql import Device
from greenpower.sql.session import sql_session

log = logging.getLogger(__name__)

ANNOUNCE_EVERY_SECONDS = 10
ANNOUNCE_JOB_SECONDS = 60
# Home Assistant keeps each sensor in memory and in its own database.
MAX_ANNOUNCED_DEVICES = 1_000


def homeassistant_entry() -> Entry:
    """The job, every few seconds."""
    return Entry(
        name="homeassistant",
        function="greenpower.jobs.homeassistant.work",
        args=(),
        every=ANNOUNCE_EVERY_SECONDS,
        timeout=ANNOUNCE_JOB_SECONDS,
    )


def work() -> str:
    """What RQ runs. Raises the errors of the databases; the next run does what this one did not."""
    settings, registry = load_settings(), get_registry()
    with (
        sql_session(settings) as session,
        closing(Redis.from_url(settings.need("REDIS_URL"))) as redis,
    ):
        wanted = settings.homeassistant_discovery
        if not wanted and not is_announced(redis):
            return "switched off"
        devices = known_devices(session, redis, registry) if wanted else []
        try:
            with visit(settings) as broker:
                if wanted:
                    taken = announce(broker, redis, devices, settings.homeassistant_prefix)
                else:
                    taken = withdraw(broker, redis, settings.homeassistant_prefix)
        except NoBroker as error:
            log.warning("Home Assistant hears nothing: %s", error)
            return "no broker"
    return f"{len(devices)} devices, {taken} messages"


def known_devices(session: Session, redis: Redis, registry: Registry) -> list[KnownDevice]:
    """The confirmed devices of the registry, by id, with their newest readings and statuses. Raises SQLAlchemyError,
    RedisError.

    Those beyond `MAX_ANNOUNCED_DEVICES` are left out, with a line in the log.
    """
    confirmed = select(Device).where(Device.confirmed_at.is_not(None)).order_by(Device.id)
    rows = list(session.scalars(confirmed.limit(MAX_ANNOUNCED_DEVICES + 1)).unique())
    if len(rows) > MAX_ANNOUNCED_DEVICES:
        log.warning("only the first %d devices are announced to Home Assistant", MAX_ANNOUNCED_DEVICES)
        rows = rows[:MAX_ANNOUNCED_DEVICES]
    by_type: defaultdict[str, list[str]] = defaultdict(list)
    for row in rows:
        for kind in row.types:
            if registry.get(kind.type) is not None:
                by_type[kind.type].append(row.device_id)
    readings = {name: _readings(redis, name, devices) for name, devices in by_type.items()}
    statuses = {name: _statuses(redis, name, devices) for name, devices in by_type.items()}
    found = []
    for row in rows:
        types = tuple(
            datatype for kind in row.types if (datatype := registry.get(kind.type)) is not None and datatype.fields
        )
        if not types:
            continue
        device_id = row.device_id
        found.append(
            KnownDevice(
                device_id=device_id,
                name=row.name,
                area="" if row.zone is None else row.zone.name,
                types=types,
                readings={one.name: readings[one.name][device_id] for one in types if device_id in readings[one.name]},
                statuses={one.name: statuses[one.name][device_id] for one in types if device_id in statuses[one.name]},
            )
        )
    session.rollback()
    return found


def _values(redis: Redis, key: str, devices: Sequence[str]) -> Mapping[str, bytes]:
    values: Sequence[bytes | None] = redis.hmget(key, list(devices))  # type: ignore[assignment]
    return {device: value for device, value in zip(devices, values, strict=True) if value is not None}


def _readings(redis: Redis, type_name: str, devices: Sequence[str]) -> dict[str, Message]:
    kept = _values(redis, latest_key(type_name), devices)
    return {device: reading for device, value in kept.items() if (reading := read_latest(value)) is not None}


def _statuses(redis: Redis, type_name: str, devices: Sequence[str]) -> dict[str, str]:
    found = {}
    for device, value in _values(redis, status_key(type_name), devices).items():
        try:
            status = orjson.loads(value)["status"]
        except (ValueError, KeyError, TypeError):  # none of ours: the presence job writes it again
            continue
        if status is not None:
            found[device] = str(status)
    return found
