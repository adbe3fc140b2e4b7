"""The presence job: finds silent devices, each minute. Devices come online without it, as soon as they send.

Each type of a device is judged by itself, and dashboards are told. In SQL a device has one status and a history: that
of its liveliest type, which is the one that may be silent for the shortest time.
"""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

from pymongo.asynchronous.database import AsyncDatabase
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.bus.latest import forget_gone
from greenpower.bus.message import status_message
from greenpower.bus.publisher import put_statuses
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings, load_settings
from greenpower.datatype import DataType
from greenpower.ingest.transports import sources_of
from greenpower.jobs.schedule import Entry
from greenpower.measure.presence import Span, listened_silence, patience
from greenpower.mongo.client import Document, async_client
from greenpower.mongo.devices.listening import read_listening, spans_of
from greenpower.mongo.devices.status import ONLINE, bring_online, take_offline
from greenpower.mongo.schema.layout import DEVICE_SETTINGS, LISTENING, SEEN
from greenpower.sql import Device, DeviceStatus
from greenpower.sql.confirmation import batches
from greenpower.sql.device_status import record_statuses
from greenpower.sql.session import sql_session

log = logging.getLogger(__name__)

PRESENCE_JOB_SECONDS = 120
MAX_STATUSES_PER_MESSAGE = 1_000
# A type that a device has not sent for this long is ignored while the device sends others.
RETIRED_AFTER = timedelta(days=7)


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """A device and type. document: of `devices_seen`, after it was judged. changed: whether its status changed."""

    document: Document
    patience: timedelta
    changed: bool


def presence_entry() -> Entry:
    """The job, every minute."""
    return Entry(
        name="presence", function="greenpower.jobs.presence.check", args=(), every=60, timeout=PRESENCE_JOB_SECONDS
    )


def check() -> str:
    """What RQ runs. Raises the errors of the databases; the next run does everything again."""
    settings = load_settings()
    judged = asyncio.run(_judge_and_tell(settings, tuple(get_registry())))
    with sql_session(settings) as session:
        recorded = record(session, judged)
    changed = sum(item.changed for item in judged)
    return f"{len(judged)} judged, {changed} changed, {recorded} recorded"


async def _judge_and_tell(settings: Settings, datatypes: Iterable[DataType]) -> list[Judged]:
    datatypes, now = tuple(datatypes), datetime.now(UTC)
    async with async_client(settings, appname="greenpower-worker") as client:
        judged = await judge(client[settings.mongo_db_name], datatypes, now)
    redis = Redis.from_url(settings.need("REDIS_URL"))
    try:
        await tell_types(redis, judged, [datatype.name for datatype in datatypes], now)
    except RedisError as error:
        log.warning("Redis did not take the statuses: %.200s", error)
    finally:
        await redis.aclose()
    return judged


async def judge(db: AsyncDatabase[Document], datatypes: Iterable[DataType], now: datetime) -> list[Judged]:
    """Judge all devices seen, and store the changes. Raises PyMongoError."""
    listening = await read_listening(db[LISTENING])
    query = {"interval_seconds": {"$ne": None}}
    own = {found["_id"]: found["interval_seconds"] async for found in db[DEVICE_SETTINGS].find(query)}
    judged = []
    for datatype in datatypes:
        spans = spans_of(listening, sources_of(datatype))
        documents = [document async for document in db[SEEN].find({"type": datatype.name})]
        limits = {document["_id"]: _limit(document, datatype, own) for document in documents}
        news = await _change(db, documents, limits, spans, now)
        judged += [
            Judged(
                document=news.get(document["_id"], document),
                patience=limits[document["_id"]],
                changed=document["_id"] in news,
            )
            for document in documents
        ]
    return judged


def _limit(document: Document, datatype: DataType, own: dict[str, int]) -> timedelta:
    """How long it may be silent, by the longer of two intervals: the observed one and the one in the registry."""
    interval = max(document.get("interval") or 0, own.get(document["device_id"]) or 0)
    return patience(datatype.stale_after, interval)


async def _change(
    db: AsyncDatabase[Document],
    documents: list[Document],
    limits: dict[str, timedelta],
    spans: list[Span],
    now: datetime,
) -> dict[str, Document]:
    """Store which devices are silent now, and which are online and had no status. Returns the changed documents."""
    silent, alive = [], []
    for document in documents:
        limit = limits[document["_id"]]
        if listened_silence(document["last_heard"], spans, limit) > limit:
            silent.append(document)
        elif "status" not in document:
            alive.append((document["type"], document["device_id"]))
    silent = [document for document in silent if document.get("status") != "offline"]
    changed = [*await take_offline(db[SEEN], silent, now), *await bring_online(db[SEEN], alive, now)]
    return {document["_id"]: document for document in changed}


async def tell_types(redis: Redis, judged: list[Judged], types: Iterable[str], now: datetime) -> None:
    """Tell the statuses of each type, and drop in Redis the devices that are gone. Raises RedisError if Redis is away.

    A key of another Redis type, or what else Redis refuses, costs only its data type.
    """
    for name in types:
        of_type = [item for item in judged if item.document["type"] == name]
        try:
            await tell(redis, of_type)
            await forget_gone(redis, name, {item.document["device_id"] for item in of_type}, now)
        except ResponseError as error:
            log.warning("Redis did not take the statuses of %s: %.200s", name, error)


async def tell(redis: Redis, judged: Iterable[Judged]) -> None:
    """Write all statuses to Redis, and announce those that have changed. Raises RedisError."""
    for chunk in _chunks(item for item in judged if not item.changed and "status" in item.document):
        await put_statuses(redis, [status_message(item.document) for item in chunk], tell=False)
    for chunk in _chunks(item for item in judged if item.changed):
        await put_statuses(redis, [status_message(item.document) for item in chunk])


def _chunks(items: Iterator[Judged]) -> Iterator[list[Judged]]:
    while chunk := list(islice(items, MAX_STATUSES_PER_MESSAGE)):
        yield chunk


def record(session: Session, judged: Iterable[Judged]) -> int:
    """Bring the devices' statuses in SQL, and their history, up to date. Returns how many changed."""
    by_device: defaultdict[str, list[Judged]] = defaultdict(list)
    for item in judged:
        if "status" in item.document:
            by_device[item.document["device_id"]].append(item)
    rows = session.execute(select(Device.device_id, Device.status, Device.status_since)).all()
    session.rollback()
    changes: dict[str, tuple[DeviceStatus, datetime]] = {}
    for device_id, status, since in rows:
        if device_id not in by_device:
            continue
        now_status, at = device_status(by_device[device_id])
        if now_status != status:
            # Of two types that changed in turn, the later may be noted first.
            changes[device_id] = now_status, at if since is None else max(at, since + timedelta(milliseconds=1))
    recorded = 0
    for chunk in batches(changes):
        recorded += record_statuses(session, {device_id: changes[device_id] for device_id in chunk})
        session.commit()
    return recorded


def device_status(judged: list[Judged]) -> tuple[DeviceStatus, datetime]:
    """A device's status and since when, from those of its types."""
    newest = max(item.document["last_heard"] for item in judged)
    current = [item for item in judged if newest - item.document["last_heard"] < RETIRED_AFTER]
    liveliest = min(current, key=lambda item: (item.patience, item.document["type"])).document
    status = DeviceStatus.ONLINE if liveliest["status"] == ONLINE else DeviceStatus.OFFLINE
    return status, liveliest["status_since"]
