"""Frames from a real broker through the real process to MongoDB."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from tests.ingest.conftest import Document, Publisher, Start, frame, stamp, wait_events
from tests.wait import wait_until


def test_a_frame_is_stored_once_and_unchanged(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    command = start()
    now = datetime.now(UTC)
    sent = frame(time=now, qa=-0.1648, new_tag=17)
    for _ in range(5):
        publisher.send("MQTT_RT_DATA", sent)
    events = wait_events(db, 5)
    [reading] = db.grid_rt_data.find()
    values = {key: value for key, value in sent.items() if key not in ("id", "time", "isend")}
    assert reading["payload"] == values
    assert reading["device_id"] == sent["id"]
    assert reading["timestamp"] == now.replace(microsecond=0)
    assert reading["complete"] is True
    assert sorted(event["outcome"] for event in events) == ["duplicate"] * 4 + ["stored"]
    assert {event["timestamp"] for event in events} == {reading["timestamp"]}
    wait_until(lambda: command.metric("greenpower_frames_total", outcome="stored") == 1)
    wait_until(lambda: command.metric("greenpower_frames_total", outcome="duplicate") == 4)
    wait_until(lambda: command.metric("greenpower_frames_received_total") == 5)
    assert command.stop() == 0


def test_nine_shuffled_packets_of_two_meters_are_two_readings(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    start()
    time = stamp(datetime.now(UTC))
    packets: list[Document] = []
    for device in ("33B0000000001", "33B0000000002"):
        for number in range(9):
            packet: Document = {"id": device, "time": time, "isend": "1" if number == 8 else "0"}
            packet |= {f"u{number}{letter}": number + 0.5 for letter in "abc"}
            packets.append(packet)
    random.Random(7).shuffle(packets)
    for packet in packets:
        publisher.send("MQTT_RT_DATA", packet)
        if random.Random(len(db.list_collection_names())).random() < 0.5:
            publisher.flush()
    wait_events(db, 18)
    readings = list(db.grid_rt_data.find())
    assert [len(reading["payload"]) for reading in readings] == [27, 27]
    assert all(reading["complete"] for reading in readings)
    assert db.telemetry_events.count_documents({"outcome": "stored"}) == 18


def test_a_packet_that_comes_much_later_is_merged_and_a_conflict_keeps_the_first(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    start()
    time = datetime.now(UTC)
    publisher.send("MQTT_RT_DATA", {**frame(time=time), "isend": "0"})
    wait_events(db, 1)
    publisher.send("MQTT_RT_DATA", {"id": "33B1225950027", "time": stamp(time), "ua": 1.0, "ia": 3.5, "isend": "1"})
    events = wait_events(db, 2)
    [reading] = db.grid_rt_data.find()
    assert reading["payload"]["ua"] == 229.097
    assert reading["payload"]["ia"] == 3.5
    assert reading["complete"] is True
    assert reading["updated_at"] > reading["received_at"]
    assert events[1]["conflicts"] == ["ua"]
    assert events[1]["outcome"] == "stored"


def test_a_zero_twin_is_rejected_before_or_after_the_good_frame(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    start()
    time = datetime.now(UTC)
    zero = {key: 0.0 if isinstance(value, float) else value for key, value in frame(time=time).items()}
    for payload in (zero, frame(time=time), zero):
        publisher.send("MQTT_RT_DATA", payload)
    wait_events(db, 3)
    [reading] = db.grid_rt_data.find()
    assert reading["payload"]["ua"] == 229.097
    assert db.telemetry_events.count_documents({"outcome": "rejected", "reason": "zero-frame"}) == 2


def test_frames_published_while_ingest_is_down_are_stored_when_it_comes_back(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    assert start().stop() == 0
    base = datetime.now(UTC)
    for second in range(200):
        publisher.send("MQTT_RT_DATA", frame(time=base - timedelta(seconds=second)), qos=second % 2)
    publisher.flush()
    start()
    wait_events(db, 200)
    assert db.grid_rt_data.count_documents({}) == 200


def test_inputs_and_outputs_are_noted(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    start()
    publisher.send("MQTT_TELEIND", {"id": "33B1225950027", "time": "20260101000000", "value": "00000003@00000003"})
    [event] = wait_events(db, 1)
    assert event["outcome"] == "noted"
    assert event["device_id"] == "33B1225950027"
    assert db.grid_rt_data.count_documents({}) == 0


def test_a_retained_frame_is_not_taken_for_a_new_one(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    publisher.send("MQTT_RT_DATA", frame(), retain=True)
    publisher.flush()
    try:
        command = start()
        publisher.send("MQTT_RT_DATA", frame(device="33B0000000009"))
        wait_events(db, 1)
        command.stop()
        start()
        publisher.send("MQTT_RT_DATA", frame(device="33B0000000010"))
        wait_events(db, 1, device_id="33B0000000010")
        wait_until(lambda: db.grid_rt_data.count_documents({}) == 2)
        assert db.telemetry_events.count_documents({"device_id": "33B1225950027"}) == 0
    finally:
        publisher.send("MQTT_RT_DATA", b"", retain=True)
        publisher.flush()
