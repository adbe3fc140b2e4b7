"""Foreign code in a process of its own: what it gives, and how it is ended."""

from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from greenpower.kit import limited
from greenpower.kit.limited import Begin, Overrun, WorkFailed, run_limited


@pytest.fixture(autouse=True)
def short_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limited, "CPU_SECONDS_PER_STEP", 0.3)
    monkeypatch.setattr(limited, "LOOKS_ASLEEP", 5)


def endless(begin: Begin) -> str:
    begin(7)
    while True:
        pass


def test_what_the_work_returns_is_given(capfd: pytest.CaptureFixture[str]) -> None:
    assert run_limited(lambda begin: "é" + "x" * 200_000) == "é" + "x" * 200_000
    assert run_limited(lambda begin: "") == ""
    assert capfd.readouterr() == ("", "")


def test_what_the_work_raises_is_raised() -> None:
    with pytest.raises(WorkFailed, match="ZeroDivisionError"):
        run_limited(lambda begin: str(1 / 0))


def test_a_loop_ends_by_its_processor_time_and_its_step_is_named() -> None:
    assert run_limited(endless) == Overrun(step=7, what="is not done after 0.3 s of processor time")


def test_a_loop_in_c_ends_too() -> None:
    def work(begin: Begin) -> str:
        begin(2)
        return str(sum(range(10**13)))

    found = run_limited(work)
    assert isinstance(found, Overrun) and found.step == 2


def test_many_steps_may_take_longer_than_one_may() -> None:
    def work(begin: Begin) -> str:
        for number in range(5):
            begin(number)
            began = time.process_time()
            while time.process_time() - began < 0.1:
                pass
        return "done"

    assert run_limited(work) == "done"


def test_a_step_that_waits_is_told_from_one_that_computes() -> None:
    def work(begin: Begin) -> str:
        begin(3)
        threading.Event().wait()
        return ""

    found = run_limited(work)
    assert isinstance(found, Overrun) and (found.step, "waits" in found.what) == (3, True)


def test_work_that_ends_its_process_is_told() -> None:
    def work(begin: Begin) -> str:
        begin(1)
        os.kill(os.getpid(), signal.SIGSEGV)
        return ""

    found = run_limited(work)
    assert isinstance(found, Overrun) and (found.step, "ends its process" in found.what) == (1, True)
