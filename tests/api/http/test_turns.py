"""Questions that cost much take turns, and others do not wait for them."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor, as_completed
from threading import Event, Lock

import pytest
from flask import Flask
from werkzeug.exceptions import HTTPException

from greenpower.api.http.turns import MAX_CHEAP_COST, MAX_COSTLY_AT_ONCE, MAX_COSTLY_QUESTIONS, turn


def test_dear_questions_take_turns_and_cheap_ones_pass() -> None:
    app, lock, leave, full = Flask(__name__), Lock(), Event(), Event()
    inside: set[int] = set()
    most = 0

    def work(number: int) -> None:
        nonlocal most
        with turn(app, MAX_CHEAP_COST + 1):
            with lock:
                inside.add(number)
                most = max(most, len(inside))
                if len(inside) == MAX_COSTLY_AT_ONCE:
                    full.set()
            assert leave.wait(60)
            with lock:
                inside.remove(number)

    with ThreadPoolExecutor(8) as pool:
        done = [pool.submit(work, number) for number in range(8)]
        assert full.wait(60)
        with turn(app, MAX_CHEAP_COST):
            assert len(inside) == MAX_COSTLY_AT_ONCE
        leave.set()
        for future in done:
            future.result(30)
    assert most == MAX_COSTLY_AT_ONCE and not inside


def test_a_turn_is_given_back_when_its_work_fails() -> None:
    app = Flask(__name__)
    for _ in range(2 * MAX_COSTLY_AT_ONCE):
        with pytest.raises(ZeroDivisionError), turn(app, MAX_CHEAP_COST + 1):
            raise ZeroDivisionError


def test_no_more_wait_than_there_are_places() -> None:
    app, leave, begun = Flask(__name__), Event(), Event()

    def work(number: int) -> int:
        with app.test_request_context(), turn(app, MAX_CHEAP_COST + 1):
            begun.set()
            assert leave.wait(60)
        return number

    with ThreadPoolExecutor(MAX_COSTLY_QUESTIONS + 1) as pool:
        done = {pool.submit(work, number) for number in range(MAX_COSTLY_QUESTIONS + 1)}
        assert begun.wait(60)
        refused = next(future for future in as_completed(done, 30))
        error = refused.exception()
        assert isinstance(error, HTTPException) and error.response is not None
        assert error.response.status_code == 503 and error.response.headers["Retry-After"]
        with app.test_request_context(), turn(app, MAX_CHEAP_COST):
            leave.set()
        assert len([future.result(30) for future in done - {refused}]) == MAX_COSTLY_QUESTIONS
    with app.test_request_context(), turn(app, MAX_CHEAP_COST + 1):
        assert leave.is_set()
