"""Kill -9 of worker, Valkey and mongod at random moments, and a worker frozen past its lock."""

from __future__ import annotations

import signal
import time
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest
import redis

from tests.wait import wait_until
from tools.chaos.rollup import HISTORY, Chaos, family


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_twenty_kills_leave_nothing_wrong(tmp_path: Path) -> None:
    with Chaos(tmp_path, seed=4).running() as chaos:
        chaos.rounds(20)
        chaos.settle()
        assert chaos.check() > 100


@pytest.mark.slow
@pytest.mark.timeout(240)
def test_kills_among_workers_that_share_a_type_leave_nothing_wrong(tmp_path: Path) -> None:
    with Chaos(tmp_path, seed=5, helpers=1).running() as chaos:
        chaos.rounds(12)
        chaos.settle()
        assert chaos.check() > 100
        shared = [state for state in chaos.db.rollup_watermarks.find() if "round" in state]
        assert {state["type"] for state in shared} == {datatype.name for datatype in chaos.types}


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_a_worker_frozen_past_its_lock_and_thawed_leaves_nothing_wrong(tmp_path: Path) -> None:
    """Meanwhile readings came late, others are gone, and another worker has computed it all."""
    with Chaos(tmp_path, seed=11).running() as chaos:
        for _ in range(3):
            frozen = chaos.worker
            assert frozen is not None
            begin = datetime.now(UTC) - HISTORY + timedelta(minutes=chaos.rng.randrange(600))
            for datatype in chaos.types:
                chaos.store(datatype, begin, 60)
            chaos.enqueue()
            [job, *_] = wait_until(lambda worker=frozen: family(worker.process.pid), 20)  # type: ignore[misc]
            time.sleep(chaos.rng.uniform(0, 0.15))
            with_job = [psutil.Process(frozen.process.pid), *([job] if job.is_running() else [])]
            for process in with_job:
                with suppress(psutil.NoSuchProcess):  # the job was done meanwhile
                    process.send_signal(signal.SIGSTOP)
            with redis.Redis.from_url(chaos.valkey.url) as connection:
                for lock in connection.scan_iter("greenpower:lock:*"):
                    connection.delete(lock)

            for datatype in chaos.types:
                chaos.store(datatype, begin, 20)
                chaos.remove(datatype, begin, 30)
            chaos.start_worker()
            chaos.settle()
            chaos.check()
            for process in with_job:
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(signal.SIGCONT)
            wait_until(lambda job=job: not job.is_running() or job.status() == psutil.STATUS_ZOMBIE, 20)  # type: ignore[misc]
            chaos.settle()
            chaos.check()
            frozen.kill()
