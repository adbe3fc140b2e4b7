"""`greenpower replay`: what it says, what it refuses."""

from __future__ import annotations

import re
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

    def told(*more: str) -> tuple[str, list[int]]:
        """What it says, and the numbers of its last line: added, changed, removed, the same."""
        assert run_cli(monkeypatch, tmp_path, *arguments, *more, settings=settings) == 0
        text = capsys.readouterr().out
        return text, [int(number) for number in re.findall(r"\d+", text.splitlines()[-1])]

    text, numbers = told("--dry-run")
    assert numbers == [1, 0, 0, there - 1] and "zero-frame" in text
    assert db.grid_rt_data.count_documents({}) == there - 1
    assert told()[1] == [1, 0, 0, there - 1]
    assert db.grid_rt_data.count_documents({}) == there
    assert told()[1] == [0, 0, 0, there]


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
