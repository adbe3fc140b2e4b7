"""DEVICE_POLICY=registered: frames of devices that are not in the registry are rejected, until they are."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

from pymongo.database import Database
from sqlalchemy import select

from greenpower.catalog.registry import load_registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.ingest.replay.replay import Replay
from greenpower.jobs.device_registration import RegistrationRules
from greenpower.jobs.device_sync import sync_devices
from greenpower.mongo.client import async_client
from greenpower.sql import Device, DeviceType
from greenpower.sql.session import sql_session
from tests.ingest.conftest import Document, Publisher, Start, frame, wait_events
from tests.wait import wait_until

TOPIC = "MQTT_RT_DATA"
REGISTERED = RegistrationRules(adds=False)


def test_a_device_is_heard_once_it_is_registered(
    start: Start, publisher: Publisher, db: Database[Document], settings: Settings
) -> None:
    using = settings.model_copy(update={"device_policy": "registered"})
    init_sql(using)
    with sql_session(using) as session:
        session.add(Device(device_id="KNOWN", types=[DeviceType(type="rt")]))
        session.commit()
        sync_devices(session, db, REGISTERED)
        command = start(using)
        now = datetime.now(UTC).replace(microsecond=0)
        publisher.send(TOPIC, frame("KNOWN", now))
        publisher.send(TOPIC, frame("STRANGER", now))
        events = {event["device_id"]: event for event in wait_events(db, 2)}
        assert events["KNOWN"]["outcome"] == "stored"
        assert (events["STRANGER"]["outcome"], events["STRANGER"]["reason"]) == ("rejected", "unregistered")
        assert db.grid_rt_data.distinct("device_id") == ["KNOWN"]
        wait_until(lambda: command.metric("greenpower_frames_rejected_total", reason="unregistered") == 1)
        wait_until(lambda: db.devices_seen.find_one({"_id": "rt|KNOWN"}))
        assert db.devices_seen.find_one({"_id": "rt|STRANGER"}) is None

        # It does not get in by being heard, and does by being registered.
        sync_devices(session, db, REGISTERED)
        assert session.scalars(select(Device.device_id)).all() == ["KNOWN"]
        session.add(Device(device_id="STRANGER"))
        session.commit()
        sync_devices(session, db, REGISTERED)

        def let_in() -> bool:
            publisher.send(TOPIC, frame("STRANGER", datetime.now(UTC)))
            publisher.flush()
            return db.grid_rt_data.count_documents({"device_id": "STRANGER"}) > 0

        wait_until(let_in, 20, every=0.5)

        # And it is out again when it is deleted.
        session.delete(session.scalars(select(Device).where(Device.device_id == "STRANGER")).unique().one())
        session.commit()
        sync_devices(session, db, REGISTERED)
        before = db.telemetry_events.count_documents({"reason": "unregistered"})

        def shut_out() -> bool:
            publisher.send(TOPIC, frame("STRANGER", datetime.now(UTC)))
            publisher.flush()
            return db.telemetry_events.count_documents({"reason": "unregistered"}) > before

        wait_until(shut_out, 20, every=0.5)


def test_replay_takes_what_was_refused_once_its_device_is_registered(
    start: Start, publisher: Publisher, db: Database[Document], settings: Settings
) -> None:
    using = settings.model_copy(update={"device_policy": "registered"})
    init_sql(using)
    command = start(using)
    now = datetime.now(UTC).replace(microsecond=0)
    publisher.send(TOPIC, frame("STRANGER", now))
    wait_events(db, 1, reason="unregistered")
    assert command.stop() == 0

    async def replay() -> int:
        registry = load_registry(None)
        async with async_client(using) as client:
            job = Replay(
                db=client[using.mongo_db_name],
                registry=registry,
                settings=using,
                datatype=registry["rt"],
                since=now - timedelta(hours=1),
                until=now + timedelta(hours=1),
            )
            return (await job.run()).readings

    assert asyncio.run(replay()) == 0
    with sql_session(using) as session:
        session.add(Device(device_id="STRANGER"))
        session.commit()
        sync_devices(session, db, REGISTERED)
    assert asyncio.run(replay()) == 1
    assert db.grid_rt_data.distinct("device_id") == ["STRANGER"]
