"""A capture of real meters through the broker: twins, zero twins, a clock in 2005."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pymongo.database import Database

from tests.ingest.conftest import Document, Publisher, Start, stamp, wait_events
from tests.wait import wait_until

REAL = Path(__file__).parents[3] / "shared" / "data" / "kpm33b_eny_now.log"
FORMAT = "%Y%m%d%H%M%S"
GOOD, ZERO, WRONG = "33B1000000001", "33B1000000002", "33B1000000003"


def made() -> list[Document]:
    """A capture with what was seen on real meters: a zero twin on either side of a good frame, a good frame twice and
    once with another last digit, a meter that only sends zeros, and one whose good frames say 2005 while their zero
    twins have the right time.
    """
    now, then = "20260117211500", "20050118211500"

    def energy(device: str, time: str, total: float, apparent: float) -> Document:
        values = {"zygsz": total, "fygsz": 0.0, "zwgsz": 0.011 if total else 0.0, "zszsz": apparent, "zyjsz": total}
        return {"id": device, **values, "time": time, "isend": "1"}

    return [
        energy(GOOD, now, 0.0, 0.0),
        energy(GOOD, now, 31.057, 31.057),
        energy(GOOD, now, 31.057, 31.057),
        energy(GOOD, now, 0.0, 0.0),
        energy(ZERO, now, 0.0, 0.0),
        energy(WRONG, now, 0.0, 0.0),
        energy(WRONG, then, 168.878, 252.646),
        energy(WRONG, then, 168.878, 252.647),
    ]


def captures() -> list[object]:
    """The made capture, and the real one where it is at hand."""
    found: list[object] = [pytest.param(made(), id="made")]
    if REAL.exists():
        lines = [json.loads(line) for line in REAL.read_text().splitlines() if line]
        found.append(pytest.param(lines, id="real"))
    return found


def shifted(capture: list[Document]) -> list[Document]:
    """The capture with its newest stamp at now."""
    newest = max(datetime.strptime(frame["time"], FORMAT) for frame in capture)
    shift = datetime.strptime(stamp(datetime.now(UTC)), FORMAT) - newest
    return [{**frame, "time": (datetime.strptime(frame["time"], FORMAT) + shift).strftime(FORMAT)} for frame in capture]


def is_zero(frame: Document) -> bool:
    return not any(value for value in frame.values() if isinstance(value, float))


@pytest.mark.parametrize("capture", captures())
def test_a_capture_of_real_meters(
    start: Start, publisher: Publisher, db: Database[Document], capture: list[Document]
) -> None:
    frames = shifted(capture)
    command = start()
    for frame in frames:
        publisher.send("MQTT_ENY_NOW", frame)
    events = wait_events(db, len(frames))
    assert len(events) == len(frames)
    wanted = {(frame["id"], frame["time"]) for frame in frames if not is_zero(frame)}
    readings = list(db.grid_eny_now_data.find())
    assert len(readings) == len(wanted)
    assert {reading["device_id"] for reading in readings} == {device for device, _ in wanted}
    assert all(any(reading["payload"].values()) for reading in readings)
    assert all(abs(reading["timestamp"] - datetime.now(UTC)) < timedelta(minutes=1) for reading in readings)
    zeros = sum(map(is_zero, frames))
    wait_until(lambda: command.metric("greenpower_frames_rejected_total", type="eny_now", reason="zero-frame") == zeros)
    wait_until(lambda: command.metric("greenpower_frames_total", outcome="stored") == len(wanted))
    wait_until(
        lambda: command.metric("greenpower_frames_total", outcome="duplicate") == len(frames) - zeros - len(wanted)
    )
    for frame in frames:
        if not is_zero(frame):
            reading = db.grid_eny_now_data.find_one({"device_id": frame["id"]})
            assert reading is not None
            assert reading["payload"]["zygsz"] == frame["zygsz"]
