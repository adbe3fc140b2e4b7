"""`resolution=auto` before the first run of any tier: rows are made from readings, and are those that rollups store."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from greenpower.api.telemetry import resolution
from greenpower.api.telemetry.parameters import MAX_POINTS_PER_DEVICE
from tests.api.energy.meter import PATH, Meters

STEP, DAY = timedelta(seconds=60), timedelta(days=1)


def all_rows(meters: Meters, **asked: Any) -> tuple[str, list[dict[str, Any]]]:
    """The resolution, and the rows of all pages."""
    body = meters.body(PATH, page_size="1000", **asked)
    chosen, rows = body["resolution"], body["results"]
    while body["next"]:
        body = meters.body(body["next"])
        rows += body["results"]
    return chosen, rows


def test_auto_keeps_its_points_before_the_first_rollup(shared_meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    meters = shared_meters
    meters.clear()
    begin = meters.now - 3 * DAY
    times = [begin + number * STEP for number in range(3 * 24 * 60)]
    for device in ("M1", "M2"):
        meters.store(device, [(at, {"volts": 230 + i % 9, "energy": i / 4}) for i, at in enumerate(times)])

    for span in ({}, {"end_time": (meters.now - DAY).isoformat()}):
        asked = {"start_time": begin.isoformat(), "device_id": "M1", "resolution": "auto", **span}
        chosen, rows = all_rows(meters, **asked)
        assert chosen == "10m" and 250 < len(rows) < MAX_POINTS_PER_DEVICE
    one_day = {"start_time": (meters.now - DAY).isoformat(), "resolution": "auto", "device_id": "M1"}
    assert all_rows(meters, **one_day)[0] == "raw"  # few enough as they are

    # More readings than an answer can wait for: they are listed themselves.
    monkeypatch.setattr(resolution, "MAX_DOCUMENTS_ON_THE_FLY", 2_500)
    assert all_rows(meters, **asked)[0] == "raw"
    monkeypatch.undo()

    meters.run_rollups()
    stored_chosen, stored = all_rows(meters, **asked)
    assert stored_chosen == chosen
    assert [(row["timestamp"], row["payload"]) for row in rows] == [
        (row["timestamp"], row["payload"]) for row in stored
    ]
