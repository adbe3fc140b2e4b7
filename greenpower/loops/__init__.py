"""Supervised loops: the one way in which long-running work of any process is started, restarted, watched and stopped.

What belongs here: the life of a loop and its health, and ending a process that hangs. What does not: what a loop does,
and starting a process again (`greenpower.stack.restarter`).

A loop is a function that runs until it is stopped and calls `advance()` once per round. Where it raises, or returns
by itself, it is called again after a pause. `ThreadLoop` is for threads, which are greenlets where eventlet has
replaced them; `TaskLoop` is for asyncio. Only `Exception` means another try: KeyboardInterrupt, SystemExit,
GreenletExit and cancellation end the loop.
"""

from greenpower.loops.group import Loops
from greenpower.loops.state import Backoff, Loop, LoopEnded
from greenpower.loops.task import TaskLoop
from greenpower.loops.thread import ThreadLoop
from greenpower.loops.watchdog import PulseCounter, Watchdog, watched_event_loop

__all__ = [
    "Backoff",
    "Loop",
    "LoopEnded",
    "Loops",
    "PulseCounter",
    "TaskLoop",
    "ThreadLoop",
    "Watchdog",
    "watched_event_loop",
]
