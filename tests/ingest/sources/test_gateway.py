"""Rounds of gateways on real sockets, in whatever pieces they come."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from tests.ingest.conftest import Document, wait_events
from tests.ingest.sources.gateway import HEARTBEAT, REQUESTS, VALUES, Connect, Listen, readings
from tests.wait import wait_until


def test_a_round_is_a_reading_stamped_with_its_last_answer(
    listen: Listen, connect: Connect, db: Database[Document]
) -> None:
    listen()
    gateway = connect()
    asked = []
    for _ in range(3):
        asked.append(gateway.heartbeat())
        before = datetime.now(UTC)
        gateway.socket.sendall(gateway.answer(asked[-1]))
    [reading] = readings(db, 1)
    assert asked == REQUESTS
    assert reading["payload"] == VALUES
    assert reading["complete"] is True
    assert before - timedelta(milliseconds=1) <= reading["timestamp"] <= datetime.now(UTC)
    [event] = wait_until(lambda: list(db.telemetry_events.find()))  # written after its reading
    assert (event["outcome"], event["type"], event["hex"]) == ("stored", "solar", True)
    assert event["raw"] == b"".join(gateway.answer(request) for request in REQUESTS).hex()


def test_single_bytes(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    listen()
    gateway = connect()
    for _ in range(3):
        for byte in HEARTBEAT:
            gateway.socket.sendall(bytes([byte]))
        for byte in gateway.answer(gateway.request()):
            gateway.socket.sendall(bytes([byte]))
    assert readings(db, 1)[0]["payload"] == VALUES


def test_a_heartbeat_glued_to_an_answer_and_before_the_next(
    listen: Listen, connect: Connect, db: Database[Document]
) -> None:
    listen()
    gateway = connect()
    request = gateway.heartbeat()
    for _ in range(8):
        gateway.socket.sendall(gateway.answer(request) + HEARTBEAT)
        request = gateway.request()
    gateway.socket.sendall(HEARTBEAT + gateway.answer(request))
    assert [reading["payload"] for reading in readings(db, 3)] == [VALUES] * 3


def test_all_answers_in_one_write(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    listen()
    gateway = connect()
    gateway.heartbeat()
    # Nobody asked for the other two yet: they are noted, not believed.
    gateway.socket.sendall(b"".join(gateway.answer(request) for request in REQUESTS))
    gateway.socket.sendall(HEARTBEAT)
    assert gateway.request() == REQUESTS[1]
    gateway.socket.sendall(gateway.answer(REQUESTS[1]))
    assert gateway.heartbeat() == REQUESTS[2]
    gateway.socket.sendall(gateway.answer(REQUESTS[2]))
    assert readings(db, 1)[0]["payload"] == VALUES
    wait_events(db, 1, outcome="noted")


def test_an_exception_is_an_answer(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    listen()
    gateway = connect()
    request = gateway.heartbeat()
    gateway.socket.sendall(gateway.answer(request))
    request = gateway.heartbeat()
    gateway.socket.sendall(request[:4] + bytes.fromhex("00 03 01 83 02"))
    request = gateway.heartbeat()
    assert request == REQUESTS[2]
    gateway.socket.sendall(gateway.answer(request))
    [reading] = readings(db, 1)
    assert "active_power_a" not in reading["payload"]
    assert reading["payload"]["current_a"] == VALUES["current_a"]
    assert reading["complete"] is False
    [event] = wait_events(db, 1, outcome="noted", reason="exception")
    assert "(2)" in event["detail"]
    assert event["device_id"] == "GWCCCL0001"


def test_a_heartbeat_is_a_sign_of_life_and_no_event(listen: Listen, connect: Connect, db: Database[Document]) -> None:
    listen()
    gateway = connect()
    gateway.heartbeat()
    seen = wait_until(lambda: db.devices_seen.find_one({"_id": "solar|GWCCCL0001"}))
    assert seen is not None
    assert "last_reading" not in seen
    assert datetime.now(UTC) - seen["last_heard"] < timedelta(seconds=10)
    assert db.telemetry_events.count_documents({}) == 0
