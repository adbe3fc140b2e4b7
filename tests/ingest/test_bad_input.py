"""Every bad input of the protocol notes that MQTT can carry, amid good frames that all arrive."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime, timedelta

from pymongo.database import Database

from greenpower.datatype.check import NOT_FINITE, TOO_LARGE
from tests.ingest.conftest import Document, Publisher, Start, frame, stamp, wait_events
from tests.wait import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)
BAD = "33B6666666666"


def raw(body: str, device: str = BAD) -> bytes:
    """A frame whose values are given as JSON text."""
    return f'{{"id":"{device}","time":"{stamp(NOW)}",{body}}}'.encode()


REJECTED: dict[str, tuple[bytes, set[str]]] = {
    "not JSON": (b"ua=229.097;ub=231", {"not-json"}),
    "empty": (b"", {"not-json"}),
    "half a frame": (json.dumps(frame())[:100].encode(), {"not-json"}),
    "random bytes": (os.urandom(200), {"not-utf8", "not-json"}),
    "not UTF-8": (raw('"ua":229.0,"n":"\xe9"').decode().encode("latin-1"), {"not-utf8"}),
    "no object": (b"[1,2,3]", {"not-object"}),
    "a number": (b"17", {"not-object"}),
    "no id": (b'{"ua":229.0,"time":"20260101000000"}', {"no-id"}),
    "an id of 10 kB": (raw('"ua":229.0', "3" * 10_000), {"bad-id"}),
    "an id that is no text": (b'{"id":{"a":1},"ua":229.0}', {"bad-id"}),
    "5 MB": (raw(f'"ua":229.0,"x":"{"y" * 5_000_000}"'), {"too-large"}),
    "only NaN": (raw('"ua":NaN'), {"no-values"}),
    "only 1e400": (raw('"ua":1e400'), {"no-values"}),
    "only 10**30": (raw(f'"ua":{10**30}'), {"no-values"}),
    "only 2**63": (raw(f'"unknown":{2**63}'), {"no-values"}),
    "only 5000 digits": (raw(f'"ua":{"9" * 5000}'), {"no-values"}),
    "a lone surrogate in the id": (b'{"id":"\\ud800","ua":229.0}', {"bad-id"}),
    "a lone surrogate in a key": (raw('"\\ud800":1.5'), {"bad-key"}),
    "duplicate keys": (raw('"ua":229.0,"ua":230.0'), {"duplicate-keys"}),
    "100 levels": (raw('"ua":229.0,"x":' + '{"x":' * 100 + "1" + "}" * 100), {"too-deep"}),
    "100 000 levels": (raw('"ua":229.0,"x":' + "[" * 100_000 + "]" * 100_000), {"too-deep", "not-json"}),
    "many keys": (raw(",".join(f'"k{index}":1' for index in range(20_000))), {"too-many-keys"}),
    "100 000 keys": (raw(",".join(f'"k{index}":1' for index in range(100_000))), {"too-large"}),
    "a key with $": (raw('"ua":229.0,"$set":1'), {"bad-key"}),
    "a key with a dot": (raw('"ua":229.0,"a.b":1'), {"bad-key"}),
    "a key with NUL": (raw('"ua":229.0,"a\\u0000b":1'), {"bad-key"}),
    "a stamp that is none": (
        b'{"id":"33B6666666666","ua":229.0,"time":"20261399250000"}',
        {"bad-time"},
    ),
}
LEFT_OUT = {
    "NaN": NOT_FINITE,
    "-Infinity": NOT_FINITE,
    "1e400": NOT_FINITE,
    str(2**63): TOO_LARGE,
    "9" * 5000: NOT_FINITE,
}


def test_each_costs_its_sender_only(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    command = start()
    for index, (payload, _) in enumerate(REJECTED.values()):
        publisher.send("MQTT_RT_DATA", frame(time=NOW - timedelta(seconds=2 * index)))
        publisher.send("MQTT_RT_DATA", payload)
        publisher.send("MQTT_RT_DATA", frame(time=NOW - timedelta(seconds=2 * index + 1)))
    publisher.flush()
    good, bad = 2 * len(REJECTED), len(REJECTED)
    wait_until(lambda: db.telemetry_events.count_documents({}) >= good + bad, 30)
    assert db.telemetry_events.count_documents({"outcome": "stored"}) == good
    assert db.grid_rt_data.count_documents({}) == good
    assert db.grid_rt_data.distinct("device_id") == ["33B1225950027"]
    events = list(db.telemetry_events.find({"outcome": "rejected"}).sort("_id"))
    assert len(events) == bad
    seen = {name: event["reason"] for (name, _), event in zip(REJECTED.items(), events, strict=True)}
    assert {name: reason for name, reason in seen.items() if reason not in REJECTED[name][1]} == {}
    wait_until(lambda: command.metric("greenpower_frames_rejected_total") == bad)
    wait_until(
        lambda: (
            command.metric("greenpower_frames_total")
            == command.metric("greenpower_frames_received_total")
            == good + bad
        )
    )
    long = next(event for event in events if event.get("size", 0) > 5_000_000)
    assert len(long["raw"]) == 4096
    assert len(long["sha256"]) == 64


def test_a_value_that_is_no_number_is_left_out_and_the_rest_is_used(
    start: Start, publisher: Publisher, db: Database[Document]
) -> None:
    start()
    for index, text in enumerate(LEFT_OUT):
        publisher.send("MQTT_RT_DATA", raw(f'"ua":229.5,"tag":{text}', f"33B{index}"))
    publisher.send("MQTT_RT_DATA", raw('"ua":229.5,"ub":"","uc":null,"ia":"n/a","ib":"9.25","zyggl":true', "33B9"))
    publisher.flush()
    events = {event["device_id"]: event for event in wait_events(db, len(LEFT_OUT) + 1, outcome="stored")}
    for index, why in enumerate(LEFT_OUT.values()):
        reading = db.grid_rt_data.find_one({"device_id": f"33B{index}"})
        assert reading is not None
        assert reading["payload"] == {"ua": 229.5}
        assert events[f"33B{index}"]["left_out"] == {"tag": why}
    reading = db.grid_rt_data.find_one({"device_id": "33B9"})
    assert reading is not None
    assert reading["payload"] == {"ua": 229.5, "ib": 9.25}
    assert set(events["33B9"]["left_out"]) == {"ub", "uc", "ia", "zyggl"}


def test_a_stamp_in_2099_is_a_wrong_clock(start: Start, publisher: Publisher, db: Database[Document]) -> None:
    start()
    publisher.send("MQTT_RT_DATA", {**frame(), "time": "20990101000000"})
    [event] = wait_events(db, 1)
    [reading] = db.grid_rt_data.find()
    assert event["clock"] == "offset"
    assert "20990101000000" in event["raw"]
    assert abs(reading["timestamp"] - event["received_at"]) < timedelta(seconds=1)
