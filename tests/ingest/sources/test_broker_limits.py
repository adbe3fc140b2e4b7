"""What ingest says of a broker whose limits break its promises."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from greenpower.config import Settings
from greenpower.ingest.metrics import IngestMetrics
from greenpower.ingest.sources.admission import Admission
from greenpower.ingest.sources.mqtt.broker_limits import Dropped, of_connack, of_suback
from greenpower.ingest.sources.mqtt.intake import MqttIntake, MqttMetrics
from greenpower.ingest.sources.mqtt.session import MqttSession
from greenpower.ingest.sources.mqtt.source import MqttSource
from greenpower.ingest.sources.source import SourceKit
from greenpower.loops import Loops
from greenpower.stack import Mosquitto
from tests.ingest.conftest import Publisher, Start, frame
from tests.process import Command
from tests.wait import wait_until


@pytest.mark.parametrize(
    ("connack", "said"),
    [
        ({}, ""),
        ({"session_expiry_interval": [0xFFFFFFFF], "max_qos": [1], "receive_maximum": [10_000]}, ""),
        ({"session_expiry_interval": [7200]}, " 7200 s"),
        ({"max_qos": [0]}, "QoS 0"),
        ({"shared_subscription_available": [0]}, "MQTT_SHARED"),
        ({"maximum_packet_size": [100_000]}, "MAX_FRAME_BYTES"),
        ({"receive_maximum": [20]}, "max_inflight_messages"),
    ],
)
def test_what_a_connack_tells(connack: dict[str, list[int]], said: str, settings: Settings) -> None:
    using = settings.model_copy(update={"mqtt_shared": True})
    found = of_connack(connack, is_v5=True, settings=using)
    assert len(found) == bool(said)
    assert said in "".join(found)


def test_what_3_1_1_cannot_do(settings: Settings) -> None:
    assert of_connack({}, is_v5=False, settings=settings) == ()
    found = of_connack({}, is_v5=False, settings=settings.model_copy(update={"mqtt_shared": True}))
    assert "3.1.1" in "".join(found)


def test_a_refused_subscription_makes_health_fail_until_the_next_connection(settings: Settings) -> None:
    """Its frames do not come, and nothing else says so."""

    async def walk() -> None:
        metrics = IngestMetrics()
        pipeline: Any = SimpleNamespace(batcher=SimpleNamespace(pending=0, is_full=False))
        intake = MqttIntake(pipeline=pipeline, metrics=MqttMetrics(metrics.registry), window=100)
        session = MqttSession(settings=settings, topics=["a", "b"], intake=intake)
        kit = SourceKit(admission=Admission(settings, metrics.registry), loops=Loops(), metrics=metrics.registry)
        source = MqttSource(session, kit)
        client: Any = SimpleNamespace(connack={}, subscribe=lambda *_: 7, unsubscribe=lambda *_: 8)
        session._on_connect(client, 0, 0, {})
        session._on_subscribe(client, 7, [1, 0x87], {})
        session._set_connected(True, "")  # the answer to the subscription may be quicker
        assert not source.health()["ok"] and source.health()["problem"]
        session._on_connect(client, 0, 0, {})
        session._on_subscribe(client, 7, [1, 1], {})
        assert source.health() == {"ok": True}

    asyncio.run(walk())


def test_a_lower_qos_than_asked_for() -> None:
    assert of_suback(["a", "b"], [1, 1]) == ()
    (warning,) = of_suback(["topic/a", "topic/b"], [1, 0])
    assert "topic/b" in warning and "topic/a" not in warning
    assert of_suback(["a"], [0x87]) == ()  # refused: told as a problem


def test_only_what_is_dropped_while_we_listen_counts() -> None:
    dropped = Dropped()
    assert not dropped.hear(b"0") and dropped.warning == ()
    assert dropped.hear(b"5") and " 5 " in "".join(dropped.warning)
    assert not dropped.hear(b"5") and not dropped.hear(b"nonsense")
    assert not dropped.hear(b"2") and dropped.warning == ()  # the broker was started again
    late = Dropped()
    assert late.hear(b"7") and late.warning == () and late.total == 7


def warnings(command: Command) -> str:
    return " ".join(command.health()["parts"]["mqtt"].get("warnings", []))


def test_a_real_broker_with_narrow_limits(start: Start, settings: Settings, tmp_path: Path) -> None:
    options = {
        "max_inflight_messages": "20",
        "max_packet_size": "50000",
        "max_queued_messages": "10",
        "sys_interval": "1",
    }
    with Mosquitto(tmp_path / "mosquitto", options=options) as broker:
        there = settings.model_dump() | {"mqtt_broker": broker.host, "mqtt_port": broker.port}
        using = Settings.model_validate(there)
        other = Settings.model_validate(there | {"mqtt_client_id": "away"})
        with Command(other, "ingest", "--mqtt", folder=tmp_path) as away:
            away.wait_healthy()
        command = start(using.model_copy(update={"log_format": "json"}))
        assert "max_inflight_messages" in warnings(command)
        assert "MAX_FRAME_BYTES" in warnings(command)
        found = len(command.health()["parts"]["mqtt"]["warnings"])
        publisher = Publisher(broker.host, broker.port)
        for _ in range(100):
            publisher.send("MQTT_RT_DATA", frame())
        publisher.flush()
        publisher.close()
        wait_until(lambda: len(command.health()["parts"]["mqtt"]["warnings"]) == found + 1)
        assert command.metric("greenpower_mqtt_broker_dropped") > 0
        assert command.health()["status"] == "ok"
        assert any(entry.get("dropped") for entry in command.entries())


def test_nothing_is_said_of_the_embedded_broker(start: Start, settings: Settings) -> None:
    assert warnings(start(settings)) == ""
