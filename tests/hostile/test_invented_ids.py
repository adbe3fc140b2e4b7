"""Ids that somebody invents fill neither the registry nor what the jobs look at, and true meters lose nothing."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from pymongo.database import Database
from sqlalchemy import func, select

from greenpower.catalog.registry import load_registry
from greenpower.config import Settings
from greenpower.jobs.device_registration import RegistrationRules
from greenpower.jobs.device_sync import sync_devices
from greenpower.jobs.presence import _judge_and_tell, record
from greenpower.mongo.schema.layout import CLOCKS, DEVICE_SETTINGS, SEEN
from greenpower.sql import Device
from greenpower.sql.session import sql_session
from tests.hostile.conftest import Run, log_in
from tests.hostile.frames import METERS, Frames
from tests.hostile.others import Others
from tests.ingest.conftest import Publisher, stamp
from tests.wait import wait_until

pytestmark = pytest.mark.slow
INVENTED = 5_000
MOST = 1_000


def test_invented_ids_are_bounded_and_cost_others_nothing(
    run: Run, base: str, db: Database[dict[str, Any]], settings: Settings
) -> None:
    run("api", api_rate_limit="")
    ingest = run("ingest", "--mqtt")
    true = {"Authorization": f"Bearer {log_in(base)}"}
    rules = RegistrationRules.of(settings)
    assert rules.most == MOST
    with Others(base) as others, Frames(settings.mqtt_broker, settings.mqtt_port, db) as frames:
        wait_until(lambda: db[SEEN].count_documents({}) == METERS, 60)
        strangers = Publisher(settings.mqtt_broker, settings.mqtt_port)
        try:
            for number in range(INVENTED):
                body = {
                    "id": f"INVENTED{number}",
                    "zygsz": 100.0 + number,
                    "time": stamp(datetime.now(UTC)),
                    "isend": "1",
                }
                strangers.send("MQTT_ENY_NOW", body)
            strangers.flush()
        finally:
            strangers.close()
        query = {"device_id": {"$regex": "^INVENTED"}}
        wait_until(lambda: db.telemetry_events.count_documents(query) == INVENTED, 120, every=0.5)
        # Each has its event, and there is room for as many as may be unconfirmed, the true meters included.
        rejected = {**query, "outcome": "rejected", "reason": "too-many-unknown"}
        assert db.telemetry_events.count_documents(rejected) == INVENTED - (MOST - METERS)
        wait_until(
            lambda: (
                ingest.metric("greenpower_frames_rejected_total", reason="too-many-unknown") == INVENTED - MOST + METERS
            )
        )
        wait_until(lambda: ingest.metric("greenpower_devices_unconfirmed") == MOST)
        wait_until(lambda: db[SEEN].count_documents({}) == MOST, 60)
        assert db[CLOCKS].count_documents({}) <= MOST

        with sql_session(settings) as session:
            assert sync_devices(session, db, rules).registered == MOST
            record(session, asyncio.run(_judge_and_tell(settings, tuple(load_registry(None)))))
            assert session.scalar(select(func.count()).select_from(Device)) == MOST
            assert db[DEVICE_SETTINGS].count_documents({}) == MOST

        # The true ones are confirmed, and the others deleted in one request.
        meters = {"device_ids": [f"33B000000000{meter}" for meter in range(METERS)]}
        answer = httpx.post(f"{base}/api/devices/confirm/", json=meters, headers=true, timeout=60)
        assert answer.json() == {"confirmed": METERS, "missing": []}
        answer = httpx.delete(f"{base}/api/devices/unconfirmed/?prefix=INVENTED", headers=true, timeout=60)
        assert answer.json() == {"deleted": MOST - METERS, "remaining": 0}
        assert httpx.get(f"{base}/api/devices/", headers=true, timeout=60).json()["count"] == METERS
        assert db[SEEN].count_documents({}) == METERS
        wait_until(lambda: ingest.metric("greenpower_devices_unconfirmed") == 0, 60, every=0.5)
        frames.check()
        others.check()
