"""The Home Assistant job: from the registry and Redis to the broker, and away again with the device."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import orjson
import pytest
import redis
from redis.asyncio import Redis
from sqlalchemy import select, update
from sqlalchemy.orm import Session

from greenpower.bus.job_queue import JsonJob
from greenpower.bus.latest import Latest
from greenpower.bus.message import reading_message
from greenpower.bus.publisher import put_statuses
from greenpower.catalog.registry import get_registry
from greenpower.cli.init import init_sql
from greenpower.cli.jobs import job_entries
from greenpower.config import Settings
from greenpower.control.publish import visit
from greenpower.homeassistant.announcement import MARK_TOPIC, STATE_PREFIX, object_id
from greenpower.jobs import homeassistant
from greenpower.jobs.homeassistant import known_devices
from greenpower.jobs.worker import is_runnable
from greenpower.sql import Device, DeviceType, ServiceZone
from greenpower.sql.session import sql_session
from tests.process import Command
from tests.wait import wait_until

STAMP = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"homeassistant_discovery": True})


@pytest.fixture
def session(settings: Settings) -> Iterator[Session]:
    init_sql(settings)
    with sql_session(settings) as session:
        session.add(
            Device(device_id="M1", name="Pump", types=[DeviceType(type="rt"), DeviceType(type="gone")],
                   zone=ServiceZone(name="Block A"))
        )  # fmt: skip
        session.add(Device(device_id="M2", types=[DeviceType(type="eny_now"), DeviceType(type="rt")]))
        session.add(Device(device_id="M3", types=[]))
        session.add(Device(device_id="M4", types=[DeviceType(type="rt")]))
        session.flush()
        session.execute(update(Device).where(Device.device_id == "M4").values(confirmed_at=None))
        session.commit()
        yield session


def tell(settings: Settings, type_name: str, device: str, status: str, **payload: float) -> None:
    """What ingest and the presence job tell Redis."""

    async def put() -> None:
        client = Redis.from_url(settings.need("REDIS_URL"))
        await Latest(client).put(type_name, [reading_message(type_name, device, STAMP, STAMP, payload)])
        await put_statuses(client, [{"type": type_name, "device_id": device, "status": status}], tell=False)
        await client.aclose()

    asyncio.run(put())


def retained(settings: Settings) -> dict[str, Any]:
    with visit(settings) as broker:
        configs, states = broker.read_retained("homeassistant/#"), broker.read_retained(f"{STATE_PREFIX}#")
    assert configs is not None and states is not None
    return {topic: orjson.loads(payload) for topic, payload in {**configs, **states}.items() if topic != MARK_TOPIC}


def test_devices_are_announced_with_their_values_and_removed_with_the_device(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(homeassistant, "load_settings", lambda: settings)
    tell(settings, "rt", "M1", "online", zyggl=1.5, ua=230.0)
    tell(settings, "eny_now", "M2", "offline", zygsz=1000.25)
    homeassistant.work()
    found = retained(settings)
    config, state = f"homeassistant/device/{object_id('M1')}/config", f"{STATE_PREFIX}{object_id('M1')}/rt"
    assert set(found) == {
        config,
        state,
        f"homeassistant/device/{object_id('M2')}/config",
        f"{STATE_PREFIX}{object_id('M2')}/eny_now",
    }
    assert found[config]["device"]["name"] == "Pump" and found[config]["device"]["suggested_area"] == "Block A"
    assert len(found[config]["components"]) == len(get_registry()["rt"].fields)
    assert found[state] == {
        "status": "online", "timestamp": "2026-03-01T00:00:00.000Z", "values": {"zyggl": 1.5, "ua": 230.0},
    }  # fmt: skip
    energy = found[f"homeassistant/device/{object_id('M2')}/config"]["components"]["eny_now_zygsz"]
    assert (energy["device_class"], energy["state_class"], energy["unit_of_measurement"]) == (
        "energy", "total_increasing", "kWh",
    )  # fmt: skip
    assert found[energy["state_topic"]]["status"] == "offline"

    session.delete(session.scalars(select(Device).where(Device.device_id == "M1")).one())
    session.commit()
    homeassistant.work()
    assert set(retained(settings)) == {topic for topic in found if object_id("M2") in topic}
    session.delete(session.scalars(select(Device).where(Device.device_id == "M2")).one())
    session.commit()
    homeassistant.work()
    assert retained(settings) == {}


def test_without_a_broker_the_next_run_does_it(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = settings.model_copy(update={"mqtt_port": settings.tcp_port})
    monkeypatch.setattr(homeassistant, "load_settings", lambda: away)
    homeassistant.work()


def test_values_of_others_in_redis_cost_only_themselves(settings: Settings, session: Session) -> None:
    tell(settings, "rt", "M1", "online", ua=1.0)
    with redis.Redis.from_url(settings.need("REDIS_URL")) as client:
        for key in client.keys("greenpower:*"):
            if client.type(key) == b"hash":
                client.hset(key, "M2", "none of ours")
        found = {device.device_id: device for device in known_devices(session, client, get_registry())}
    assert set(found) == {"M1", "M2"} and found["M1"].readings["rt"]["payload"] == {"ua": 1.0}
    assert not found["M2"].readings and not found["M2"].statuses


def test_switched_off_it_removes_what_it_announced_and_is_not_scheduled(
    settings: Settings, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    off = settings.model_copy(update={"homeassistant_discovery": False})
    with redis.Redis.from_url(settings.need("REDIS_URL")) as client:

        def is_scheduled(current: Settings) -> bool:
            return any(entry.name == "homeassistant" for entry in job_entries(get_registry(), current, client))

        assert is_scheduled(settings) and not is_scheduled(off)
        monkeypatch.setattr(homeassistant, "load_settings", lambda: settings)
        homeassistant.work()
        assert retained(settings) and is_scheduled(off)
        monkeypatch.setattr(homeassistant, "load_settings", lambda: off)
        homeassistant.work()
        assert retained(settings) == {} and not is_scheduled(off)
        with visit(settings) as broker:
            assert broker.read_retained(f"{STATE_PREFIX}#") == {}


def test_the_worker_runs_it(settings: Settings, redis_url: str) -> None:
    with redis.Redis.from_url(settings.need("REDIS_URL")) as client:
        entry = homeassistant.homeassistant_entry()
        assert is_runnable(JsonJob.create(entry.function, args=entry.args, connection=client))


@pytest.mark.slow
def test_scheduler_and_worker_announce_and_remove(settings: Settings, session: Session, tmp_path: Path) -> None:
    """The processes themselves, with nothing but the setting."""
    tell(settings, "rt", "M1", "online", zyggl=1.5)
    one_type = {"GREENPOWER_PLUGINS": "rt"}  # the first jobs are those of all tiers
    with (
        Command(settings, "worker", folder=tmp_path, env=one_type),
        Command(settings, "scheduler", folder=tmp_path, env=one_type),
    ):
        wait_until(lambda: f"{STATE_PREFIX}{object_id('M1')}/rt" in retained(settings), 60, every=1)
        for device in session.scalars(select(Device)):
            session.delete(device)
        session.commit()
        wait_until(lambda: retained(settings) == {}, 60, every=1)
