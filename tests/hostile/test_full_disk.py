"""A disk that is full, for a stack that has to heal alone: nothing is lost, nothing runs twice, and it goes on."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.hostile.faults import WORDS, Meters, check_answers, struck
from tests.hostile.others import Others
from tests.need import need
from tests.wait import wait_until
from tools.chaos.disk import SmallDisk

pytestmark = [pytest.mark.slow, pytest.mark.timeout(500)]
DISK_BYTES = 1 << 30
FULL_SECONDS = 25


def test_a_full_disk_heals_and_no_child_is_lost(tmp_path: Path) -> None:
    """mongod and Valkey are killed while the disk is full: their starts fail, and their notes. Later each runs once."""
    with SmallDisk(tmp_path / "disk", DISK_BYTES) as disk:
        need(not disk.reason, disk.reason)
        home = disk.folder / "home"
        with struck(home) as (stack, db), Meters(stack.broker, db) as meters, Others(stack.base) as others:
            others.go_on(3)
            end, killed = time.monotonic() + FULL_SECONDS, False
            while time.monotonic() < end:
                disk.fill()
                # While MongoDB is away an answer takes 0.9 s, and the next question comes 0.1 s later: in a second
                # there may be none.
                others.go_on(2)
                for name in WORDS:
                    assert len(stack.processes(name)) <= 1, f"{name} runs twice"
                if not killed and time.monotonic() > end - FULL_SECONDS / 2:
                    killed = True
                    for name in ("mongod", "valkey"):
                        for process in stack.processes(name):
                            process.kill()
            disk.empty()
            wait_until(lambda: stack.answers() and all(len(stack.processes(name)) == 1 for name in WORDS), 60)
            meters.check()
            for name in WORDS:
                assert len(stack.processes(name)) == 1
            check_answers(others)
            assert not list(home.rglob("*.broken-*"))
            assert stack.up.interrupt() == 0
