"""The watchdog, in processes of their own: what hangs ends, what goes on or was paused does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.wait import wait_until

BEGIN = """
import asyncio, ctypes, sys, threading, time
from greenpower.loops import Backoff, PulseCounter, ThreadLoop, Watchdog, watched_event_loop
SECONDS = 1.2
allocate_lock = __import__("_thread").allocate_lock  # eventlet replaces those of threading

def say(word):
    print(word, flush=True)

def hang_busy():
    while True:
        pass

def hang_waiting():
    lock = allocate_lock()
    lock.acquire()
    lock.acquire()
"""

EVENT_LOOP = """
async def main():
    async with watched_event_loop("ingest", SECONDS):
        await asyncio.sleep(0)
        say("watched")
        HANG
asyncio.run(main())
say("over")
"""

THREAD_LOOP = """
def work(loop):
    loop.advance()
    say("watched")
    HANG
    loop.request_stop()
loop = ThreadLoop("worker", work, stalled_after=5.0)
with Watchdog("worker", SECONDS, lambda: loop.pulse):
    loop.run()
say("over")
"""

GREENLETS = """
import eventlet
eventlet.monkey_patch()
import eventlet.patcher
rounds = PulseCounter()
with Watchdog("realtime", SECONDS, lambda: rounds.count, eventlet.patcher.original("threading")):
    rounds.advance()
    say("watched")
    HANG
say("over")
"""

# How it hangs: in a loop of Python; waiting for what never comes.
HANGS = {"busy": "hang_busy()", "waiting": "hang_waiting()"}


@contextmanager
def running(script: str, hang: str) -> Iterator[subprocess.Popen[str]]:
    """A process that runs a script in which it hangs, or does not."""
    with subprocess.Popen(
        [sys.executable, "-c", BEGIN + script.replace("HANG", hang)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "watched\n"
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("hang", HANGS)
@pytest.mark.parametrize(("script", "name"), [(EVENT_LOOP, "ingest"), (THREAD_LOOP, "worker"), (GREENLETS, "realtime")])
def test_what_hangs_ends_and_says_where(script: str, name: str, hang: str) -> None:
    with running(script, HANGS[hang]) as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (70, "")
    assert f"{name} has not advanced for 1.2 s" in errors and 'File "<string>", line' in errors


def test_what_holds_the_interpreter_ends_too() -> None:
    """Nothing of Python runs then: C code ends it."""
    with running(EVENT_LOOP, "ctypes.PyDLL(None).sleep(600)") as process:
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1 and 'File "<string>", line' in errors


GOES_ON = {
    "event loop": (EVENT_LOOP, "await asyncio.sleep(2 * SECONDS)"),
    "thread": (THREAD_LOOP, "[(loop.advance(), time.sleep(0.05)) for _ in range(50)]"),
    "greenlets": (GREENLETS, "[(rounds.advance(), eventlet.sleep(0.05)) for _ in range(50)]"),
    "off": (f"SECONDS = 0{EVENT_LOOP}", "time.sleep(2.5)"),
}


@pytest.mark.parametrize("case", GOES_ON)
def test_what_goes_on_is_left_alone(case: str) -> None:
    with running(*GOES_ON[case]) as process:
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "over\n") and "has not advanced" not in errors


FAILING = """
def work(loop):
    say("watched") if not loop.restarts else None
    HANG
    loop.request_stop()
loop = ThreadLoop("worker", work, stalled_after=5.0, backoff=Backoff(first=0.2, longest=0.4))
with Watchdog("worker", SECONDS, lambda: loop.pulse):
    loop.run()
say("over")
"""


def test_a_loop_that_fails_again_and_again_does_not_hang() -> None:
    """A database that is away is no reason to end: the loop is started again, and health says it."""
    with running(FAILING, "loop.restarts < 6 and 1 / 0") as process:
        out, _ = process.communicate(timeout=60)
    assert (process.returncode, out) == (0, "over\n")


def test_a_process_that_was_paused_goes_on() -> None:
    with running(EVENT_LOOP, "await asyncio.sleep(2 * SECONDS)") as process:
        os.kill(process.pid, signal.SIGSTOP)
        began = os.times().elapsed
        wait_until(lambda: os.times().elapsed - began > 2.4, 30)
        os.kill(process.pid, signal.SIGCONT)
        out, errors = process.communicate(timeout=60)
    assert (process.returncode, out, errors) == (0, "over\n", "")
