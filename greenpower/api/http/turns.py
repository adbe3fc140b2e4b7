"""Turns: how many questions that cost much are worked on at once, and how many wait.

They have a queue of their own, so that the other threads of a process go on answering what costs little. Two at once
would only slow each other down: one processor runs one of them at a time. What belongs here: the queue. What does not:
what a question costs (`greenpower.api.energy.consumption_cost`, `greenpower.mongo.rollups.on_the_fly`); exports, which
wait for their readers (`greenpower.api.telemetry.export_slots`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import BoundedSemaphore, Lock

from flask import Flask, abort

from greenpower.api.http.errors import problem

# What costs more than this waits for its turn.
MAX_CHEAP_COST = 2_000
MAX_COSTLY_AT_ONCE = 1
# With those that are worked on. Half of a process's threads: the other half is left for exports and cheap questions.
MAX_COSTLY_QUESTIONS = 8
RETRY_SECONDS = 5

TURNS_KEY = "greenpower.costly_questions"
_turns_lock = Lock()


@dataclass(slots=True)
class _Turns:
    """The queue of a process."""

    inside: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MAX_COSTLY_AT_ONCE))
    places: BoundedSemaphore = field(default_factory=lambda: BoundedSemaphore(MAX_COSTLY_QUESTIONS))


@contextmanager
def turn(app: Flask, cost: int) -> Iterator[None]:
    """Within it a question is worked on. A costly one waits for its turn; its time limit begins after that. Not to be
    taken within another. Aborts with 503 where too many wait."""
    if cost <= MAX_CHEAP_COST:
        yield
        return
    turns = _turns_of(app)
    if not turns.places.acquire(blocking=False):
        message = f"Many questions that take long are waiting. Try again in {RETRY_SECONDS} s, or ask for less."
        abort(problem(503, message, headers={"Retry-After": str(RETRY_SECONDS)}))
    try:
        with turns.inside:
            yield
    finally:
        turns.places.release()


def _turns_of(app: Flask) -> _Turns:
    """Those of this process: made after the fork, by the first question."""
    with _turns_lock:
        found = app.extensions.setdefault(TURNS_KEY, _Turns())
    assert isinstance(found, _Turns)
    return found
