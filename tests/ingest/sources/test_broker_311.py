"""A broker that speaks MQTT 3.1.1 only."""

from __future__ import annotations

import json
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack.amqtt import Amqtt
from tests.ingest.conftest import Document, Start, frame, wait_events


def test_ingest_falls_back(start: Start, settings: Settings, tmp_path: Path, db: Database[Document]) -> None:
    with Amqtt(tmp_path / "amqtt") as broker:
        command = start(
            Settings.model_validate({**settings.model_dump(), "mqtt_broker": broker.host, "mqtt_port": broker.port}),
            healthy=False,
        )
        command.wait_healthy(60)
        assert "MQTT 3.1.1" in command.log.read_text()
        client = paho.Client(CallbackAPIVersion.VERSION2, protocol=paho.MQTTv311)
        client.connect(broker.host, broker.port)
        client.loop_start()
        client.publish("MQTT_RT_DATA", json.dumps(frame()), qos=1).wait_for_publish(10)
        wait_events(db, 1)
        assert db.grid_rt_data.count_documents({}) == 1
        client.disconnect()
        client.loop_stop()
        assert command.stop() == 0
