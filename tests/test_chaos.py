"""A short cut of the fault suite (`make chaos`): the whole stack, the kinds of fault that matter most."""

from __future__ import annotations

from pathlib import Path

import pytest
from rich.console import Console

from tools.chaos.stack import Stack
from tools.chaos.suite import Scale, Suite
from tools.chaos.table import show


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_the_books_balance_after_faults(tmp_path: Path, postgres_url: str) -> None:
    scale = Scale(frames=12_000, faults=8, meters=40, rate=800, quick=True, broker_kills=1)
    with Stack(tmp_path / "home", postgres_url, disk=scale.disk) as stack:
        report = Suite(stack, scale, seed=5).run()
    show(report, Console(width=140))
    assert report.balanced
    assert set(report.faults) == {
        "kill -9 ingest",
        "kill -9 mongod",
        "kill -9 Valkey",
        "kill -9 worker",
        "kill -9 realtime",
        "broker stopped, started",
        "ingest frozen",
        "devices cut off",
    }
    assert report.buckets > 500
