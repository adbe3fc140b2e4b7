"""`greenpower replay`: what it says, what it refuses."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from pymongo.database import Database

from greenpower.config import Settings
from tests.command import run_cli
from tests.ingest.conftest import Document
from tests.ingest.replay.test_replay import START, traffic
from tests.ingest.steps.test_clock import through_pipelines


def test_it_says_what_would_be_done_and_then_does_it(
    settings: Settings,
    db: Database[Document],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    through_pipelines(settings, traffic())
    there = db.grid_rt_data.count_documents({})
    gone = db.grid_rt_data.find_one({"device_id": {"$ne": "33B2005"}})
    assert gone is not None
    db.grid_rt_data.delete_one({"_id": gone["_id"]})
    since = (START - timedelta(days=1)).isoformat()
    arguments = ("replay", "--type", "rt", "--since", since)

    def told(*more: str) -> str:
        assert run_cli(monkeypatch, tmp_path, *arguments, *more, settings=settings) == 0
        return capsys.readouterr().out

    assert "readings: 1 would be added, 0 would be changed" in (said := told("--dry-run"))
    assert "events rejected: zero-frame" in said
    assert db.grid_rt_data.count_documents({}) == there - 1
    assert f"readings: 1 added, 0 changed, 0 removed, {there - 1} the same" in told()
    assert db.grid_rt_data.count_documents({}) == there
    assert f"0 added, 0 changed, 0 removed, {there} the same" in told()


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (("--type", "nothing", "--since", "2026-01-01"), "'nothing'"),
        (("--type", "rt", "--since", "2026-01-02", "--until", "2026-01-01"), "--until"),
        (("--type", "rt", "--since", "yesterday"), "yesterday"),
    ],
)
def test_what_makes_no_sense_is_refused(
    settings: Settings,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    named: str,
) -> None:
    assert run_cli(monkeypatch, tmp_path, "replay", *arguments, settings=settings) == 2
    assert named in capsys.readouterr().err
