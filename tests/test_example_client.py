"""docs/examples/client.py against `greenpower api` as a process."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pymongo import MongoClient

from greenpower.app import sql_context
from greenpower.cli.docs import ROOT
from greenpower.cli.init import init_mongo, init_sql
from greenpower.config import Settings
from greenpower.sql import Device, DeviceType
from greenpower.sql.extensions import db
from tests.process import Command
from tests.wait import wait_until

EXAMPLE = ROOT / "docs" / "examples" / "client.py"


def load() -> Any:
    spec = importlib.util.spec_from_file_location("example_client", EXAMPLE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def test_it_reads_devices_and_readings(settings: Settings, tmp_path: Path) -> None:
    settings = settings.model_copy(update={"log_format": "json"})
    init_sql(settings)
    init_mongo(settings)
    with sql_context(settings):
        db.session.add(Device(device_id="33B1225950027", name="Main", types=[DeviceType(type="rt")]))
        db.session.commit()
    noon = datetime(2026, 11, 23, 12, tzinfo=UTC)
    with MongoClient[dict[str, Any]](settings.need("MONGO_DB_URI")) as mongo:
        mongo[settings.mongo_db_name]["grid_rt_data"].insert_many(
            {
                "device_id": "33B1225950027",
                "topic": "MQTT_RT_DATA",
                "timestamp": noon + timedelta(seconds=number),
                "received_at": noon,
                "updated_at": noon,
                "payload": {"ua": 229.0 + number},
                "complete": True,
            }
            for number in range(700)
        )
    base = f"http://127.0.0.1:{settings.api_port}"
    example = load()
    with Command(settings, "api", folder=tmp_path) as command:

        def ready() -> bool:
            try:
                return httpx.get(f"{base}/api/ready/", timeout=60).status_code == 200
            except httpx.TransportError:
                return False

        wait_until(ready, 30)
        with example.Client(base, username="admin", password="correct horse") as client:
            [device] = client.devices()
            assert (device.name, device.types, device.last_heard) == ("Main", ("rt",), None)
            found = list(client.readings("rt-data"))
            assert len(found) == 700 and found[0].timestamp == noon + timedelta(seconds=699)
            client._access = "out of date"
            assert next(iter(client.readings("rt-data", device_id="33B1225950027"))).payload == {"ua": 928.0}
            with pytest.raises(example.ApiError) as raised:
                list(client.devices(status="asleep"))
            assert raised.value.code == 422 and "status" in raised.value.errors["query"]
        with pytest.raises(example.ApiError), example.Client(base, key="gp_nonsense") as client:
            list(client.devices())
        command_line = [sys.executable, str(EXAMPLE), base, "admin", "correct horse", "rt-data"]
        told = subprocess.run(command_line, capture_output=True, text=True, timeout=60, check=True).stdout
        assert told.count("\n") == 11 and "33B1225950027 rt unknown None" in told
        assert command.stop() == 0
    # Every line of the log is an object; requests are named in them.
    lines = [json.loads(line) for line in command.log.read_text().splitlines() if line.startswith("{")]
    assert any("request_id" in line and "/api/devices/" in line["message"] for line in lines)
    assert all(line.startswith("{") for line in command.log.read_text().splitlines())
