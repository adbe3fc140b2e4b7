"""The job that serves outbound targets: its pace, that it sleeps without any, and a worker of its own process."""

from __future__ import annotations

import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import redis
from pymongo import MongoClient
from sqlalchemy.orm import Session

from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.cli.jobs import job_entries
from greenpower.config import Settings
from greenpower.jobs import outbound
from greenpower.jobs.outbound import OUTBOUND_IDLE_SECONDS, outbound_entry
from greenpower.jobs.schedule import JobScheduler
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import OUTBOUND_POSITIONS
from greenpower.outbound.wake import wake_outbound_worker
from greenpower.sql import Device, OutboundTarget, ServiceZone
from greenpower.sql.session import sql_session
from tests.outbound.receiver import receiving
from tests.outbound.world import RT, T0, make_target, reading
from tests.process import Command
from tests.wait import wait_until

# What a worker without such targets does not pay for.
WITHOUT_PAHO = ("greenpower.cli.jobs", "greenpower.outbound.run", "greenpower.outbound.senders", "greenpower.app")


def test_only_one_with_targets_for_mqtt_imports_its_client() -> None:
    code = f"import sys, {', '.join(WITHOUT_PAHO)}\nassert 'greenpower.outbound.mqtt' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)


def next_run(connection: redis.Redis) -> float:
    score = connection.zscore(JobScheduler.scheduled_jobs_key, outbound_entry().id)
    assert score is not None
    return float(score) - datetime.now(UTC).timestamp()


def test_without_an_enabled_target_it_sleeps(connection: redis.Redis, settings: Settings) -> None:
    assert outbound_entry() in job_entries(get_registry(), settings, connection)
    init_sql(settings)
    with sql_session(settings) as session:
        for wanted in ("no targets", "no target is enabled"):
            connection.zadd(JobScheduler.scheduled_jobs_key, {outbound_entry().id: datetime.now(UTC).timestamp()})
            assert outbound.work() == wanted
            assert next_run(connection) > OUTBOUND_IDLE_SECONDS / 2
            add(session, enabled=False)


def add(session: Session, **more: Any) -> OutboundTarget:
    target = make_target(**more)
    target.id = None  # type: ignore[assignment]
    target.name = f"t{datetime.now(UTC).timestamp()}"
    session.add(target)
    session.commit()
    return target


def test_a_worker_serves_zones_and_goes_on_after_a_restart(
    connection: redis.Redis, settings: Settings, tmp_path: Path
) -> None:
    init_sql(settings)
    settings = settings.model_copy(update={"outbound_networks": "127.0.0.0/8"})
    at = datetime.now(UTC) - timedelta(hours=1)
    with (
        receiving() as receiver,
        MongoClient[Document](settings.mongo_db_uri.get_secret_value(), tz_aware=True) as mongo,
        sql_session(settings) as session,
    ):
        db = mongo[settings.mongo_db_name]
        outer, other = ServiceZone(name="outer"), ServiceZone(name="other")
        session.add_all([outer, other])
        session.flush()
        inner = ServiceZone(name="inner", parent_id=outer.id)
        session.add(inner)
        session.flush()
        for name, zone in (("in1", outer.id), ("in2", inner.id), ("out", other.id)):
            session.add(Device(device_id=name, name=name, zone_id=zone, types=[]))
        session.commit()
        db[RT].insert_many(
            [reading(number, at, device) for number, device in enumerate(("in1", "out", "in2", "free"), 1)]
        )
        target = add(session, address=receiver.url, zone_id=outer.id, begin_at=T0 - timedelta(days=1))
        positions = db[OUTBOUND_POSITIONS]

        def delivered(count: int) -> bool:
            found = positions.find_one({"_id": target.id})
            return found is not None and found["rows"] == count and "claim" not in found

        def serve(count: int) -> None:
            with Command(settings, "worker", folder=tmp_path):
                wake_outbound_worker(connection)
                wait_until(lambda: delivered(count), 30)

        serve(2)
        assert [row["device_id"] for row in receiver.rows] == ["in1", "in2"]
        # A device that is deleted ends, the others go on.
        session.delete(session.query(Device).filter_by(device_id="in1").one())
        session.commit()
        later = datetime.now(UTC) - timedelta(seconds=settings.changes_horizon_seconds + 5)
        positions.update_one({"_id": target.id}, {"$set": {"feeds.rt.at": later - timedelta(seconds=1)}})
        db[RT].insert_many([reading(10, later, "in1"), reading(11, later, "in2")])
        serve(3)
        assert [row["device_id"] for row in receiver.rows] == ["in1", "in2", "in2"]


@pytest.fixture(autouse=True)
def _this_machine_is_allowed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OUTBOUND_NETWORKS", "127.0.0.0/8")
