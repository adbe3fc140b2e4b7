"""`greenpower rollups status`: which tiers are behind, and which of their device ranges."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from click.testing import CliRunner

from greenpower.cli import rollups as command
from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.rollups.ranges import ALL_RANGES
from greenpower.mongo.rollups.run_notes import note_run
from greenpower.mongo.rollups.watermarks import move_watermark
from greenpower.mongo.schema.layout import WATERMARKS


def test_status_tells_which_device_range_is_stuck(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(command, "load_settings", lambda: settings)
    now = datetime.now(UTC).replace(second=0, microsecond=0)
    stuck = frozenset((10,))
    with sync_client(settings) as client:
        watermarks = client[settings.mongo_db_name][WATERMARKS]
        move_watermark(watermarks, "rt", "today_", now - timedelta(hours=5))
        move_watermark(watermarks, "rt", "today_", now, ALL_RANGES - stuck)
        note_run(watermarks, "rt", "today_", now, error="KeyError: 'payload'", ranges=stuck)
        move_watermark(watermarks, "rt", "last_7_days_", now)
    told = CliRunner().invoke(command.rollups, ["status"])
    assert told.exit_code == 0, told.output
    lines = [line.strip() for line in told.output.splitlines()]
    [tier] = [number for number, line in enumerate(lines) if line.startswith("rt/today_")]
    hindmost, others, following = lines[tier + 1 : tier + 4]
    for line in (lines[tier], hindmost):
        assert f"{now - timedelta(hours=5):%Y-%m-%d %H:%M}" in line and "KeyError: 'payload'" in line
    assert hindmost.split()[:3] == ["device", "ranges", "a"] and " h " in hindmost
    assert others.split()[:4] == ["device", "ranges", "0-9,", "b-f"] and f"{now:%Y-%m-%d %H:%M}" in others
    assert following.startswith("rt/last_7_days_")
