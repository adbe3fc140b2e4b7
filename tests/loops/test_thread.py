"""Loops in threads: restarts, health, logging, stops."""

from __future__ import annotations

import logging
import subprocess
import sys
import time
from threading import Event

import pytest

from greenpower.loops import Backoff, ThreadLoop
from tests.loops.clock import AT_ONCE, FOREVER, Clock
from tests.wait import wait_until


def run_failing(loop_fails: list[BaseException | None], clock: Clock, steady: float = 0.0) -> ThreadLoop:
    """A loop that ran once for each item: None is a round after which it returns, the rest is raised."""
    left = list(loop_fails)

    def work(loop: ThreadLoop) -> None:
        if not left:
            loop.request_stop()
            return
        error = left.pop(0)
        if error is None:
            loop.advance()
            clock.now += steady
            loop.advance()
            raise ValueError("after a steady run")
        raise error

    loop = ThreadLoop("test", work, stalled_after=10, backoff=AT_ONCE, clock=clock)
    loop.run()
    return loop


def test_it_is_red_until_the_first_round_and_after_it_stalls() -> None:
    clock, go = Clock(), Event()

    def work(loop: ThreadLoop) -> None:
        go.wait()
        while not loop.wait(0.001):
            if go.is_set():
                loop.advance()

    loop = ThreadLoop("test", work, stalled_after=10, backoff=AT_ONCE, clock=clock)
    assert not loop.health()["ok"]
    loop.start()
    wait_until(lambda: loop.running)
    assert loop.health() == {
        "ok": False, "running": True, "restarts": 0, "last_error": "", "seconds_since_advance": None,
    }  # fmt: skip
    go.set()
    wait_until(lambda: loop.health()["ok"])
    go.clear()
    time.sleep(0.01)  # a round that was under way
    clock.now += 10.5
    assert not loop.health()["ok"] and loop.health()["running"]
    assert loop.health()["seconds_since_advance"] == 10.5
    go.set()
    wait_until(lambda: loop.health()["ok"])
    assert loop.stop(60)
    assert not loop.health()["ok"] and not loop.health()["running"]


def test_one_that_raises_is_started_again_and_red_until_it_advances() -> None:
    fail, runs = Event(), []

    def work(loop: ThreadLoop) -> None:
        runs.append(1)
        if len(runs) == 2:
            fail.wait()
        loop.advance()
        if len(runs) == 1:
            raise RuntimeError("secret")
        loop.wait(60)

    loop = ThreadLoop("test", work, stalled_after=10, backoff=AT_ONCE)
    loop.start()
    wait_until(lambda: len(runs) == 2)
    found = loop.health()
    assert (found["ok"], found["running"], found["restarts"], found["last_error"]) == (False, True, 1, "RuntimeError")
    fail.set()
    wait_until(lambda: loop.health()["ok"])
    assert loop.stop(50), "its pause ends at once"


def test_one_that_returns_by_itself_is_started_again() -> None:
    runs: list[int] = []

    def work(loop: ThreadLoop) -> None:
        runs.append(1)
        if len(runs) == 3:
            loop.request_stop()

    loop = ThreadLoop("test", work, stalled_after=10, backoff=AT_ONCE)
    loop.run()
    assert len(runs) == 3 and loop.restarts == 2 and loop.last_error == "LoopEnded"


def test_a_stop_does_not_wait_for_the_pause() -> None:
    loop = ThreadLoop("test", lambda _: 1 / 0, stalled_after=10, backoff=FOREVER)
    loop.start()
    wait_until(lambda: loop.restarts == 1)
    assert loop.stop(60)


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1), GeneratorExit()])
def test_what_is_no_exception_ends_it(error: BaseException) -> None:
    clock = Clock()
    with pytest.raises(type(error)):
        run_failing([error], clock)


def test_each_kind_of_failure_is_logged_once_until_it_has_recovered(caplog: pytest.LogCaptureFixture) -> None:
    clock = Clock()

    def failures() -> list[tuple[int, bool]]:
        found = [record for record in caplog.records if record.levelno >= logging.WARNING]
        return [(record.levelno, record.exc_info is not None) for record in found]

    with caplog.at_level(logging.INFO, "greenpower.loops"):
        loop = run_failing([ValueError(str(number)) for number in range(20)], clock)
        assert loop.restarts == 20
        assert failures() == [(logging.ERROR, True)]
        caplog.clear()
        run_failing([ValueError(), OSError(), ValueError(), OSError()], clock)
        assert failures() == [(logging.ERROR, True), (logging.WARNING, False)]
        caplog.clear()
        # A run that fails soon after its first round is no recovery; one that was steady is.
        run_failing([None, None], clock, steady=29)
        assert len(failures()) == 1
        caplog.clear()
        run_failing([None, None, None], clock, steady=31)
        assert len(failures()) == 3


def test_the_pause_doubles_to_its_limit_and_begins_anew_after_a_steady_run() -> None:
    plain = Backoff(first=0.2, longest=5.0, jitter=0.0)
    assert [plain.pause(number) for number in (1, 2, 3, 5, 6, 7, 5000)] == [0.2, 0.4, 0.8, 3.2, 5.0, 5.0, 5.0]
    assert all(2.5 <= Backoff().pause(100) <= 5.0 for _ in range(100))
    asked: list[int] = []

    class Asked(Backoff):
        def pause(self, failures: int) -> float:
            asked.append(failures)
            return 0.0

    clock, runs = Clock(), iter((False, False, True, False))

    def work(loop: ThreadLoop) -> None:
        steady = next(runs, None)
        if steady is None:
            loop.request_stop()
            return
        loop.advance()
        clock.now += 31 * steady
        loop.advance()
        raise ValueError

    ThreadLoop("test", work, stalled_after=10, backoff=Asked(), clock=clock).run()
    assert asked == [1, 2, 1, 2]


GREEN = """
import eventlet
eventlet.monkey_patch()
from greenpower.loops import Backoff, Loops, ThreadLoop
from greenlet import GreenletExit
runs = []
def work(loop):
    runs.append(1)
    if len(runs) < 3:
        raise ValueError
    while not loop.wait(0.01):
        loop.advance()
loops = Loops()
loop = loops.add(ThreadLoop("a", work, stalled_after=10, backoff=Backoff(first=0.01)))
loops.start()
while not loops.ok:
    eventlet.sleep(0.01)
assert loop.restarts == 2, loop.restarts
assert loops.stop(60)
def killed(loop):
    raise GreenletExit
loop = ThreadLoop("b", killed, stalled_after=10)
try:
    eventlet.spawn(loop.run).wait()
except GreenletExit:
    pass
assert not loop.running and not loop.restarts
print("done")
"""


def test_it_serves_greenlets() -> None:
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", GREEN], capture_output=True, text=True, timeout=60)
    assert done.stdout == "done\n", done.stderr


def test_one_that_hangs_after_its_first_round_has_not_recovered(caplog: pytest.LogCaptureFixture) -> None:
    """Its server takes longer to fail than a steady run lasts: that is one failure again and again, logged once."""
    caplog.set_level(logging.INFO)
    clock, left = Clock(), [1] * 5

    def work(loop: ThreadLoop) -> None:
        if not left:
            loop.request_stop()
            return
        left.pop()
        loop.advance()
        clock.now += 60.0
        raise OSError("no answer")

    ThreadLoop("test", work, stalled_after=10, backoff=AT_ONCE, clock=clock).run()
    assert [record.levelname for record in caplog.records] == ["WARNING"]
