"""The device job, on SQLite and on PostgreSQL: registers what was heard, and what ingest knows of a device."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import redis
from pydantic import SecretStr
from pymongo import AsyncMongoClient, MongoClient
from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.bus import revocation
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.datatype import NO_TIERS, DataType, Field, Mqtt, json_parser
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.pipeline import Pipeline
from greenpower.jobs import device_registration
from greenpower.jobs import device_sync as devices
from greenpower.jobs.device_sync import finish_exchanges, mark_revocations, sync_devices
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.devices.seen import HeardDevice, read_heard
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.rollups.exchanges import CUT_SHORT_SECONDS, keep_exchange, revoke_exchange
from greenpower.mongo.schema.layout import CORRECTIONS, DEVICE_SETTINGS, EXCHANGES, INCIDENTS, INVALIDATIONS, SEEN
from greenpower.mongo.unaudited import UNAUDITED
from greenpower.sql import (
    AuditAction,
    AuditEntry,
    AuditObject,
    Device,
    DeviceStatus,
    DeviceStatusChange,
    DeviceType,
    ServiceZone,
    TokenFamily,
    User,
)
from greenpower.sql.audit import AuditedChange
from greenpower.sql.device import devices_of_zone
from greenpower.sql.device_status import record_status
from greenpower.sql.session import sql_session
from greenpower.sql.time import now
from tests.heard import listen, next_heard

Document = dict[str, Any]
CLOCKED = DataType(
    name="clocked",
    title="With a clock",
    collection="clocked_data",
    match=(Mqtt("CLOCKED"),),
    fields=(Field("volts", unit="V"),),
    parse=json_parser(device="id", time="time"),
    tiers=NO_TIERS,
)


@pytest.fixture
def world(sql_settings: Settings, mongo_uri: str, mongo_name: str) -> Settings:
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    init_sql(settings)
    return settings


@pytest.fixture
def db(world: Settings) -> Iterator[Database[Document]]:
    with MongoClient[Document](world.need("MONGO_DB_URI"), tz_aware=True) as client:
        yield client[world.mongo_db_name]


@pytest.fixture
def session(world: Settings) -> Iterator[Session]:
    with sql_session(world) as session:
        yield session


def hear(db: Database[Document], *heard: tuple[str, str]) -> None:
    for type_name, device in heard:
        document = {"type": type_name, "device_id": device, "last_heard": datetime.now(UTC)}
        db[SEEN].update_one({"_id": f"{type_name}|{device}"}, {"$set": document}, upsert=True)


def registry(session: Session) -> dict[str, list[str]]:
    session.rollback()
    return {device.device_id: [row.type for row in device.types] for device in session.scalars(select(Device)).unique()}


def projection(db: Database[Document]) -> dict[str, Any]:
    return {document["_id"]: document.get("timezone") for document in db[DEVICE_SETTINGS].find()}


def test_what_was_heard_is_registered_once(session: Session, db: Database[Document]) -> None:
    assert sync_devices(session, db).registered == 0
    hear(db, ("rt", "A"), ("eny_now", "A"), ("rt", "B/1"))
    assert sync_devices(session, db).registered == 2
    assert registry(session) == {"A": ["eny_now", "rt"], "B/1": ["rt"]}
    hear(db, ("eny_now", "B/1"))
    assert sync_devices(session, db).registered == 1
    assert registry(session)["B/1"] == ["eny_now", "rt"]
    again = sync_devices(session, db)
    assert (again.registered, again.written) == (0, 0)


def test_what_people_said_of_a_device_stays(session: Session, db: Database[Document]) -> None:
    session.add(Device(device_id="A", name="Main", types=[DeviceType(type="solar")]))
    session.commit()
    hear(db, ("rt", "A"))
    sync_devices(session, db)
    device = session.scalars(select(Device)).unique().one()
    assert device.name == "Main" and [row.type for row in device.types] == ["rt", "solar"]


def test_the_projection_follows_the_registry(session: Session, db: Database[Document]) -> None:
    session.add(Device(device_id="A", timezone="Asia/Kathmandu", interval_seconds=60))
    session.add(Device(device_id="B"))
    session.commit()
    assert sync_devices(session, db).written == 2
    assert projection(db) == {"A": "Asia/Kathmandu", "B": None}
    device = session.scalars(select(Device).where(Device.device_id == "A")).unique().one()
    device.timezone = "Europe/Berlin"
    session.commit()
    assert sync_devices(session, db).written == 1
    assert projection(db)["A"] == "Europe/Berlin"
    session.delete(device)
    session.commit()
    assert sync_devices(session, db).written == 1
    assert projection(db) == {"A": None, "B": None}
    assert sync_devices(session, db).written == 0


def test_the_projection_has_the_greatest_power(session: Session, db: Database[Document]) -> None:
    device = Device(device_id="A", greatest_power=12.5)
    session.add_all([device, Device(device_id="B")])
    session.commit()
    assert sync_devices(session, db).written == 2 and read_powers(db) == {"A": 12.5}
    for power, powers in ((3.0, {"A": 3.0}), (None, {})):
        device.greatest_power = power
        session.commit()
        assert sync_devices(session, db).written == 1 and read_powers(db) == powers
    db[DEVICE_SETTINGS].update_many({}, {"$unset": {"greatest_power": ""}})  # written before there was one
    assert sync_devices(session, db).written == 2 and sync_devices(session, db).written == 0


def test_an_older_state_never_overwrites_a_newer_one(db: Database[Document]) -> None:
    stamp = now()
    newer = DeviceSettings(device_id="A", updated_at=stamp, timezone="Asia/Dhaka")
    older = DeviceSettings(device_id="A", updated_at=stamp - timedelta(seconds=1), timezone="Europe/Berlin")
    other = DeviceSettings(device_id="B", updated_at=stamp, timezone="Europe/Berlin")
    assert write_settings(db[DEVICE_SETTINGS], [newer]) == 1
    assert write_settings(db[DEVICE_SETTINGS], [older, other]) == 1
    assert projection(db) == {"A": "Asia/Dhaka", "B": "Europe/Berlin"}


def test_a_device_that_the_api_adds_meanwhile_is_no_trouble(
    session: Session, db: Database[Document], world: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    hear(db, ("rt", "A"), ("rt", "B"))
    calls: list[int] = []

    def read_slowly(collection: Any) -> dict[str, HeardDevice]:
        if not calls:
            calls.append(1)
            with sql_session(world) as other:
                other.add(Device(device_id="A", name="added meanwhile"))
                other.commit()
        return read_heard(collection)

    monkeypatch.setattr(device_registration, "read_heard", read_slowly)
    assert sync_devices(session, db).registered == 2
    assert registry(session) == {"A": ["rt"], "B": ["rt"]}


def test_ingest_reads_stamps_in_the_zone_of_their_device(
    session: Session, db: Database[Document], world: Settings
) -> None:
    session.add(Device(device_id="NEPAL", timezone="Asia/Kathmandu"))
    session.commit()
    sync_devices(session, db)

    def frame(device: str, arrival: datetime, local: datetime) -> Arrival:
        text = f'{{"id": "{device}", "volts": 230, "time": "{local:%Y%m%d%H%M%S}"}}'
        return Arrival(topic="CLOCKED", payload=text.encode(), received_at=arrival, source="mqtt")

    async def run() -> None:
        async with AsyncMongoClient[Document](world.need("MONGO_DB_URI"), tz_aware=True) as client:
            pipeline = Pipeline(
                registry=Registry.of(CLOCKED), settings=world, db=client[world.mongo_db_name], metrics=IngestMetrics()
            )
            await pipeline.clock.load()
            arrival = datetime(2026, 11, 23, 12, 0, 30, tzinfo=UTC)
            stamp = datetime(2026, 11, 23, 12)
            pipeline.submit(frame("NEPAL", arrival, stamp + timedelta(hours=5, minutes=45)))
            pipeline.submit(frame("DHAKA", arrival, stamp + timedelta(hours=6)))
            await pipeline.drain()

            # A change is known at the next look, without a restart.
            device = session.scalars(select(Device)).unique().one()
            device.timezone = None
            session.commit()
            sync_devices(session, db)
            await pipeline.clock.refresh()
            later = timedelta(minutes=1)
            pipeline.submit(frame("NEPAL", arrival + later, stamp + later + timedelta(hours=6)))
            await pipeline.drain()

    asyncio.run(run())
    stored = [(item["device_id"], item["timestamp"]) for item in db["clocked_data"].find().sort("timestamp")]
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    assert sorted(stored) == [("DHAKA", noon), ("NEPAL", noon), ("NEPAL", noon + timedelta(minutes=1))]


def test_an_exchange_that_was_cut_short_is_finished(world: Settings, session: Session, db: Database[Document]) -> None:
    """Its document is all that there is when a request ends right after writing it; revoking is the same."""
    session.add(Device(device_id="A", name="Main", types=[DeviceType(type="eny_now")]))
    session.commit()
    exchanges, at = db[EXCHANGES], datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    readings = {"eny_now": {"zygsz": {"last": 102.25, "first": 2.75}}}
    took = {"name": "Main"}
    made = keep_exchange(
        exchanges, device="A", new_device="B", at=at, readings=readings, took=took, by="ann", reason="worn out"
    )

    def finished() -> int:
        """What the job does once the request has had its time."""
        before = {"updated_at": datetime.now(UTC) - timedelta(seconds=CUT_SHORT_SECONDS + 1)}
        exchanges.update_many({"applied": False}, {"$set": before})
        return finish_exchanges(session, db, world)

    def kept() -> tuple[Document, Document]:
        session.rollback()
        rows = session.scalars(select(Device)).unique()
        devices = {row.device_id: (row.name, row.replaces, row.replaced_by) for row in rows}
        swaps = db[INCIDENTS].find({"swap": True, "exchange_id": made["_id"]})
        return devices, {swap["device_id"]: swap["status"] for swap in swaps}

    assert finish_exchanges(session, db, world) == 0, "the request may still be at work"
    assert kept() == ({"A": ("Main", None, None)}, {})
    assert finished() == 1
    assert kept() == ({"A": ("Main", None, "B"), "B": ("Main", "A", None)}, {"A": "confirmed", "B": "confirmed"})
    sides = {one["device_id"]: one["register"] for one in db[CORRECTIONS].find({"group": made["_id"]})}
    assert sides == {"A": 102.25, "B": 2.75}
    assert {mark["device_id"] for mark in db[INVALIDATIONS].find()} == {"A", "B"}
    assert finished() == 0

    [current] = exchanges.find()
    assert current["applied"]
    revoke_exchange(exchanges, {**current}, "bob", "was wrong")
    assert finished() == 1
    assert kept() == ({"A": ("Main", None, None), "B": ("", None, None)}, {"A": "rejected", "B": "rejected"})
    assert db[CORRECTIONS].count_documents({"revoked_at": None}) == 0
    assert finished() == 0


def test_redis_is_shown_what_was_revoked(session: Session, redis_url: str) -> None:
    user = session.scalars(select(User)).unique().one()
    for name, revoked in (("new", now()), ("old", now() - timedelta(days=1)), ("good", None)):
        expires = now() + timedelta(days=1)
        session.add(TokenFamily(id=name, user_id=user.id, expires_at=expires, revoked_at=revoked))
    session.commit()
    with redis.Redis.from_url(redis_url, decode_responses=True) as client, client.pubsub() as heard:
        listen(heard, revocation.REVOCATION_CHANNEL)
        for _ in range(2):
            mark_revocations(session, client)
        assert [revocation.is_revoked(client, name) for name in ("new", "old", "good")] == [True, False, False]
        assert (
            0
            < int(str(client.ttl(revocation.revoked_key("new"))))
            <= revocation.ACCESS_SECONDS + revocation.MARGIN_SECONDS
        )
        assert next_heard(heard) == "new"
        client.publish(revocation.REVOCATION_CHANNEL, "end")
        assert next_heard(heard) == "end", "told once"


def test_the_job_does_it_all(
    world: Settings, session: Session, db: Database[Document], redis_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(devices, "load_settings", lambda: world.model_copy(update={"redis_url": SecretStr(redis_url)}))
    hear(db, ("rt", "A"))
    change = AuditedChange.begin(
        action=AuditAction.CREATE, object_type=AuditObject.CORRECTION, object_name="A", before=None, after={}
    )
    change = replace(change, values={**change.values, "at": now() - devices.BEING_WRITTEN})
    db[CORRECTIONS].insert_one({"device_id": "A", UNAUDITED: [{"id": change.id, "entry": change.json()}]})
    assert re.findall(r"\d+", devices.sync()) == ["1", "1", "0", "0"]
    assert re.findall(r"\d+", devices.sync()) == ["0"] * 4
    [entry] = session.scalars(select(AuditEntry).where(AuditEntry.object_type == "correction"))
    assert entry.change_id == change.id
    assert registry(session) == {"A": ["rt"]}


def test_a_status_is_noted_when_it_changes(session: Session, world: Settings) -> None:
    zone = ServiceZone(name="Block A")
    session.add_all([zone, Device(device_id="A", zone=zone), Device(device_id="B")])
    session.commit()
    first = now()
    assert record_status(session, "A", DeviceStatus.ONLINE, first)
    assert not record_status(session, "A", DeviceStatus.ONLINE, first + timedelta(seconds=1))
    assert not record_status(session, "A", DeviceStatus.OFFLINE, first - timedelta(seconds=1))
    assert record_status(session, "A", DeviceStatus.OFFLINE, first + timedelta(seconds=9))
    assert not record_status(session, "Z", DeviceStatus.OFFLINE, first)
    session.commit()
    history = session.execute(select(DeviceStatusChange.status, DeviceStatusChange.at).order_by(DeviceStatusChange.at))
    assert [tuple(row) for row in history] == [("online", first), ("offline", first + timedelta(seconds=9))]
    assert devices_of_zone(session, zone.id) == ["A"]
