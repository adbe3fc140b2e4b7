"""What is known of devices from what they sent, as the operator's commands show it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo.database import Database

from greenpower.mongo.events.books import read_ledger
from tests.command import run_cli
from tests.ingest.conftest import Document, Publisher, Start, frame, wait_events
from tests.wait import wait_until


def test_the_operators_view(
    start: Start,
    publisher: Publisher,
    db: Database[Document],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
) -> None:
    command = start()
    now = datetime.now(UTC).replace(microsecond=0)
    good = frame(time=now)
    zero = {key: 0.0 if isinstance(value, float) else value for key, value in good.items()}
    wrong = {**frame(device="33B2005"), "time": "20050118211500"}
    for payload in (good, good, zero, wrong, {"id": "33BBAD", "ua": "?"}):
        publisher.send("MQTT_RT_DATA", payload)
    wait_events(db, 5)
    assert command.stop() == 0

    accounts = {account.device_id: account for account in read_ledger(db.telemetry_events, since=now - timedelta(1))}
    meter = accounts["33B1225950027"]
    assert meter.received == 3
    assert meter.outcomes == {"stored": 1, "duplicate": 1, "rejected": 1}
    assert meter.reasons == {"zero-frame": 1}
    assert accounts["33BBAD"].reasons == {"no-values": 1}

    seen = wait_until(lambda: db.devices_seen.find_one({"_id": "rt|33B1225950027"}))
    assert seen is not None
    assert seen["last_reading"] == now
    assert seen["last_heard"] >= now
    rejected_only = db.devices_seen.find_one({"_id": "rt|33BBAD"})
    assert rejected_only is not None
    assert "last_reading" not in rejected_only

    def shown(*arguments: str) -> str:
        assert run_cli(monkeypatch, tmp_path, "devices", *arguments, settings=command.settings) == 0
        return capsys.readouterr().out

    wrong_clock = next(line for line in shown("clocks").splitlines() if line.startswith("33B2005"))
    assert wrong_clock.endswith(" s")
    assert "33B1225950027" in shown("list", "--type", "rt")
    assert "zero-frame 1" in shown("ledger", "--device", "33B1225950027")
