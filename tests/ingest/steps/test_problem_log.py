"""Lines in ingest's log and the events that they lead to."""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.ingest.steps.problem_log import MAX_LINES_AT_ONCE, SECONDS_PER_LINE, ProblemLog
from greenpower.log import TextFormatter, request_id
from greenpower.mongo.events.store import Outcome
from greenpower.mongo.readings.batch import StoredBatch, StoredFrame
from tests.ingest.conftest import Document, Publisher, Start, frame, wait_events
from tests.ingest.steps.test_pairing import BASE, TOPIC, message
from tests.process import Command
from tests.wait import wait_until

NOW = datetime.now(UTC).replace(microsecond=0)


def lines(command: Command) -> dict[str, list[dict[str, Any]]]:
    """What the log says of frames, by the event's id."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in command.log.read_text().splitlines():
        entry = json.loads(line)
        if "event" in entry:
            found.setdefault(entry["event"], []).append(entry)
    return found


def test_each_frame_with_a_fault_is_named_by_its_events_id(
    start: Start, settings: Settings, publisher: Publisher, db: Database[Document]
) -> None:
    command = start(settings.model_copy(update={"log_format": "json", "log_level": "DEBUG"}))
    zero: dict[str, Any] = dict.fromkeys(("ua", "ub", "uc", "zyggl", "qa", "f"), 0)
    for body in (
        frame(time=NOW),
        frame(time=NOW, ub="none"),  # left out, and the rest is there already
        frame(time=NOW - timedelta(seconds=30), ub="none"),
        frame(time=NOW, ua=1.5),
        frame(time=NOW, **zero),
    ):
        publisher.send("MQTT_RT_DATA", body)
        publisher.flush()
    publisher.send("MQTT_RT_DATA", "no json")
    for count, part in enumerate((message(BASE, p1=1.0), message(BASE, p0="GENERATOR_1", p2=2.0))):
        publisher.send(TOPIC, part)
        publisher.flush()
        wait_events(db, 7 + count)
    events = {str(event["_id"]): event for event in wait_events(db, 8)}
    wait_until(lambda: db.generator_data.count_documents({"payload.1": 1.0}) == 1)
    wait_until(lambda: sum(map(len, lines(command).values())) >= 6)
    told = lines(command)
    assert set(told) <= set(events)
    by_reason = {events[name].get("reason", ""): entries for name, entries in told.items()}
    assert by_reason["zero-frame"][0]["outcome"] == "rejected" and by_reason["zero-frame"][0]["device"]
    assert by_reason["not-json"][0]["level"] == "INFO" and by_reason["not-json"][0]["topic"] == "MQTT_RT_DATA"
    # Parked and stored, under one id.
    parked = by_reason["awaiting-id"]
    assert [entry.get("device") for entry in parked] == [None, "GENERATOR_1"]
    every = [entry for entries in told.values() for entry in entries]
    assert any(entry.get("outcome") == "stored" and entry.get("left_out") == ["ub"] for entry in every)
    assert any(entry.get("outcome") == "duplicate" and entry.get("conflicts") == ["ua"] for entry in every)
    whole = {name for name, event in events.items() if not {"reason", "left_out", "conflicts"} & set(event)}
    assert whole and not whole & set(told)


def rejected(**given: Any) -> StoredFrame:
    return StoredFrame(
        event_id=ObjectId(), type_name="rt", topic="T", device_id="D", received_at=NOW, outcome=Outcome.REJECTED,
        reason="zero-frame", detail="", left_out=None, fragments=(), clock="", offset=None, raw={"raw": ""},
    )._replace(**given)  # fmt: skip


def batch(*frames: StoredFrame) -> StoredBatch:
    return StoredBatch(frames=frames, readings={})


def test_a_flood_costs_a_line_now_and_then(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "greenpower.ingest.steps.problem_log")
    now = [0.0]
    problem_log = ProblemLog(lambda: now[0])
    problem_log.tell(batch(*(rejected() for _ in range(5000))))
    assert len(caplog.records) == MAX_LINES_AT_ONCE
    now[0] += SECONDS_PER_LINE + 1
    last = rejected()
    problem_log.tell(batch(last, rejected()))
    assert len(caplog.records) == MAX_LINES_AT_ONCE + 1
    request_id.set("")  # of a request of another test
    record = caplog.records[-1]
    assert f"[{last.event_id}]" in TextFormatter().format(record)
    found = vars(record)["fields"]
    assert (found["outcome"], found["reason"], found["topic"]) == ("rejected", "zero-frame", "T")
    assert found["more"] == 5000 - MAX_LINES_AT_ONCE


def test_what_is_ordinary_has_no_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "greenpower.ingest.steps.problem_log")
    ProblemLog().tell(
        batch(
            rejected(outcome=Outcome.STORED, reason=""),
            rejected(outcome=Outcome.DUPLICATE, reason="redelivered"),
            rejected(outcome=Outcome.NOTED, reason="digital inputs and outputs"),
            rejected(outcome=Outcome.NOTED, reason="awaiting-id"),
        )
    )
    assert caplog.records == []
