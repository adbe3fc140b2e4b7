"""Bench (c): how fast `greenpower ingest --mqtt`, as it ships, stores frames that wait at the broker.

From the arrival of the first frame to the last event stored. It also checks that nothing was lost.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from pydantic import SecretStr
from pymongo import MongoClient

from greenpower.config import Settings
from greenpower.embedded import Mongod, Mosquitto
from greenpower.embedded.port import free_port
from tests.bench.frames import publish
from tests.process import Command
from tests.wait import wait_until

Packets = list[tuple[str, bytes]]
EVENTS = "telemetry_events"
PATIENCE = 240


class BenchError(Exception):
    """The figures mean nothing: something was lost or never ended."""


def settings_for(home: Path, mongod: Mongod, mosquitto: Mosquitto) -> Settings:
    """A database and a session of its own."""
    return Settings(
        _env_file=None,  # type: ignore[call-arg]
        greenpower_home=home,
        mongo_db_uri=SecretStr(mongod.uri),
        mongo_db_name=f"bench_{uuid4().hex[:8]}",
        mqtt_broker=mosquitto.host,
        mqtt_port=mosquitto.port,
        mqtt_client_id=f"bench-{uuid4().hex[:8]}",
        ingest_http_port=free_port(),
        log_level="WARNING",
    )


def measure(home: Path, mongod: Mongod, mosquitto: Mosquitto, packets: Packets, readings: dict[str, int]) -> Any:
    """One round. readings: how many each collection must hold in the end. {"frames", "seconds", "rate"}."""
    settings = settings_for(home, mongod, mosquitto)
    with MongoClient[dict[str, Any]](mongod.uri, tz_aware=True) as client:
        db = client[settings.mongo_db_name]
        with Command(settings, "ingest", "--mqtt", folder=home) as command:
            command.wait_healthy()
            command.stop()
        asyncio.run(publish(mosquitto.host, mosquitto.port, packets))
        with Command(settings, "ingest", "--mqtt", folder=home) as command:
            wait_until(lambda: db[EVENTS].estimated_document_count() >= len(packets), PATIENCE)
            ended = datetime.now(UTC)
            command.stop()
        began = db[EVENTS].find_one(sort=[("received_at", 1)], projection={"received_at": 1})
        assert began is not None
        check(db, len(packets), readings)
        client.drop_database(settings.mongo_db_name)
    time.sleep(1)  # let the database finish what it does behind a drop, before the next figure is taken
    seconds = (ended - began["received_at"]).total_seconds()
    return {"frames": len(packets), "seconds": seconds, "rate": len(packets) / seconds}


def check(db: Any, frames: int, readings: dict[str, int]) -> None:
    """Raise BenchError unless every frame was stored, once."""
    found = {name: db[name].count_documents({}) for name in readings}
    stored = db[EVENTS].count_documents({"outcome": "stored"})
    if found != readings or stored != frames:
        raise BenchError(f"lost: {found} of {readings} readings, {stored} of {frames} frames stored")
