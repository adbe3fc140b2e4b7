"""Promise 1, seen from outside: what was acknowledged is stored, and what was not comes again."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import paho.mqtt.client as paho
import psutil
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from pymongo import MongoClient
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.stack import Mongod, Mosquitto
from tests.ingest.conftest import Document, Publisher, Start, frame, stamp, wait_events
from tests.proxy import AckDroppingProxy
from tests.wait import wait_until
from tools.chaos.link import Link

BASE = datetime.now(UTC).replace(microsecond=0)


@pytest.fixture
def own_mongod(tmp_path: Path) -> Iterator[Mongod]:
    """A mongod to be mistreated."""
    with Mongod(tmp_path / "mongod") as part:
        yield part
        part.resume()


@pytest.fixture
def own_broker(tmp_path: Path) -> Iterator[Mosquitto]:
    """A broker to be mistreated."""
    with Mosquitto(tmp_path / "mosquitto") as part:
        yield part


@pytest.fixture
def own_db(own_mongod: Mongod, settings: Settings) -> Iterator[Database[Document]]:
    """This test's database on the mongod to be mistreated."""
    with MongoClient[Document](own_mongod.uri, tz_aware=True) as client:
        yield client[settings.mongo_db_name]


def changed(settings: Settings, **values: object) -> Settings:
    """Settings with other values."""
    return Settings.model_validate({**settings.model_dump(), **values})


def stamps(db: Database[Document]) -> set[str]:
    """The stamps of all stored readings, as the meter sent them."""
    return {stamp(reading["timestamp"]) for reading in db.grid_rt_data.find({}, {"timestamp": 1})}


def test_killed_between_write_and_ack(
    start: Start, publisher: Publisher, settings: Settings, broker: tuple[str, int], db: Database[Document]
) -> None:
    with AckDroppingProxy(*broker) as proxy:
        command = start(changed(settings, mqtt_port=proxy.port))
        proxy.dropping = True
        for second in range(50):
            publisher.send("MQTT_RT_DATA", frame(time=BASE - timedelta(seconds=second)))
        wait_until(lambda: proxy.dropped == 50)
        assert db.grid_rt_data.count_documents({}) == 50
        command.kill()
    start()
    events = wait_events(db, 100)
    assert db.grid_rt_data.count_documents({}) == 50
    outcomes = [event["outcome"] for event in events]
    assert outcomes.count("stored") == outcomes.count("duplicate") == 50


def test_old_acknowledgements_never_reach_a_new_session(
    start: Start, settings: Settings, own_mongod: Mongod, own_broker: Mosquitto, own_db: Database[Document]
) -> None:
    """Writes held, broker restarted with an empty session, writes released, ingest killed. The frames of both sessions
    have the same packet ids; each is acknowledged on its own connection only, and all of them are stored."""
    with AckDroppingProxy(own_broker.host, own_broker.port) as proxy:
        using = changed(settings, mongo_db_uri=own_mongod.uri, mqtt_broker=own_broker.host, mqtt_port=proxy.port)
        command = start(using)
        own_mongod.pause()
        before = Publisher(own_broker.host, own_broker.port)
        for second in range(100):
            before.send("MQTT_RT_DATA", frame(time=BASE - timedelta(seconds=second)))
        before.flush()
        before.close()
        wait_until(lambda: command.metric("greenpower_frames_pending") == 100)
        connections = len(proxy.acks)
        own_broker.stop()
        own_broker.forget()
        own_broker.start()
        wait_until(lambda: len(proxy.acks) > connections and command.health()["parts"]["mqtt"]["ok"])
        after = Publisher(own_broker.host, own_broker.port)
        sent = 100
        while command.metric("greenpower_frames_pending") < 110:  # until the subscription is there again
            after.send("MQTT_RT_DATA", frame(time=BASE - timedelta(seconds=sent)))
            after.flush()
            sent += 1
        own_mongod.resume()
        # The broker delivers in order: after this one nothing is on its way any more.
        after.send("MQTT_RT_DATA", frame(device="33B0000000002"))
        after.flush()
        wait_until(lambda: own_db.grid_rt_data.count_documents({"device_id": "33B0000000002"}), 20)
        wait_until(lambda: command.metric("greenpower_frames_pending") == 0, 20)
        delivered = own_db.grid_rt_data.count_documents({}) - 100
        wait_until(lambda: proxy.acks[-1] >= delivered)
        command.kill()
        assert proxy.acks[-1] == delivered
        assert command.log.read_text().count("Traceback") == 0
        start(using)
        after.send("MQTT_RT_DATA", frame(device="33B0000000001"))
        after.flush()
        wait_until(lambda: own_db.grid_rt_data.count_documents({"device_id": "33B0000000001"}))
        stored = stamps(own_db)
        assert {stamp(BASE - timedelta(seconds=second)) for second in range(100)} <= stored
        assert own_db.grid_rt_data.count_documents({}) == 100 + delivered + 1
        after.close()


def test_a_stopped_mongod_costs_nothing_and_memory_stays_bounded(
    start: Start, settings: Settings, own_mongod: Mongod, own_broker: Mosquitto, own_db: Database[Document]
) -> None:
    using = changed(settings, mongo_db_uri=own_mongod.uri, mqtt_broker=own_broker.host, mqtt_port=own_broker.port)
    command = start(using)
    publisher = Publisher(own_broker.host, own_broker.port)
    process = psutil.Process(command.process.pid)
    sent = 0

    def send(count: int) -> None:
        nonlocal sent
        for _ in range(count):
            publisher.send("MQTT_RT_DATA", frame(time=BASE - timedelta(seconds=sent)))
            sent += 1

    send(2000)
    wait_until(lambda: own_db.grid_rt_data.count_documents({}) == 2000)
    calm = process.memory_info().rss
    own_mongod.stop()
    highest = calm
    end = time.monotonic() + 8
    while time.monotonic() < end:
        send(500)
        publisher.flush()
        highest = max(highest, process.memory_info().rss)
        threading.Event().wait(0.5)
    wait_until(lambda: command.health()["parts"]["mongo"]["ok"] is False)
    held = command.metric("greenpower_frames_pending")
    assert held <= using.mqtt_receive_maximum
    own_mongod.start()
    wait_until(lambda: own_db.grid_rt_data.count_documents({}) == sent, 60)
    wait_until(lambda: own_db.telemetry_events.count_documents({"outcome": "stored"}) == sent)
    assert highest - calm < 100 * 2**20, f"{(highest - calm) / 2**20:.0f} MiB more for {sent} frames"
    publisher.close()


@pytest.mark.slow
def test_memory_stays_bounded_where_a_broker_sends_more_than_it_may(
    start: Start, settings: Settings, own_mongod: Mongod, tmp_path: Path
) -> None:
    """A session comes back to frames in flight and others that wait: after some acknowledgements mosquitto 2.0.11 sends
    everything."""
    using = changed(settings, mongo_db_uri=own_mongod.uri, mqtt_receive_maximum=500)
    with Mosquitto(tmp_path / "generous", options={"max_inflight_messages": "10000"}) as generous:
        using = changed(using, mqtt_broker=generous.host, mqtt_port=generous.port)
        hoard(generous, using.mqtt_client_id, "MQTT_RT_DATA")
        publisher = Publisher(generous.host, generous.port)

        def send(first: int, last: int) -> None:
            for second in range(first, last):
                publisher.send("MQTT_RT_DATA", frame(time=BASE - timedelta(seconds=second)))
            publisher.flush()

        send(3000, 20_000)
        command = start(using)
        with MongoClient[Document](own_mongod.uri) as client:
            readings = client[using.mongo_db_name].grid_rt_data
            wait_until(lambda: readings.count_documents({}) >= 1500)
            own_mongod.pause()
            send(20_000, 24_000)
            time.sleep(2)
            held = command.metric("greenpower_frames_pending")
            own_mongod.resume()
            wait_until(lambda: readings.count_documents({}) == 24_000, 60)
        # Five windows, and what was on its way when reading stopped; without that it would be nearly all.
        assert held < 8_000, f"{held} frames held"
        publisher.close()


def hoard(broker: Mosquitto, client_id: str, topic: str) -> None:
    """Open a session of MQTT 3.1.1 that acknowledges nothing, let it take 3000 frames, and leave it."""
    client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id, clean_session=False, manual_ack=True)
    took: list[int] = []
    client.on_message = lambda client, data, message: took.append(message.mid)
    ready = threading.Event()
    client.on_subscribe = lambda *_: ready.set()
    client.connect(broker.host, broker.port)
    client.loop_start()
    client.subscribe(topic, 1)
    assert ready.wait(60)
    publisher = Publisher(broker.host, broker.port)
    for second in range(3000):
        publisher.send(topic, frame(time=BASE - timedelta(seconds=second)))
    publisher.flush()
    publisher.close()
    wait_until(lambda: len(took) == 3000)
    client.disconnect()
    client.loop_stop()


def test_a_cut_connection_is_not_taken_for_a_broker_that_knows_no_mqtt_5(
    start: Start, settings: Settings, own_broker: Mosquitto
) -> None:
    with Link(own_broker.port) as link:
        command = start(changed(settings, mqtt_broker="127.0.0.1", mqtt_port=link.port, log_format="json"))
        link.cut()
        wait_until(lambda: [entry.get("error") for entry in command.entries()].count("BrokerSilent") >= 2)
        link.heal()
        wait_until(lambda: command.health().get("status") == "ok", 30)
        assert "3.1.1" not in command.log.read_text()
