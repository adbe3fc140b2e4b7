"""How long a part of the system is waited for: less where it did not answer, as before once it does."""

from __future__ import annotations

import threading

import pytest

from greenpower.api.system import health_check
from greenpower.api.system.health_check import Check, run_checks
from tests.wait import wait_until

LONG, SHORT = 0.3, 0.05


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health_check, "HEALTH_CHECK_SECONDS", LONG)
    monkeypatch.setattr(health_check, "SILENT_CHECK_SECONDS", SHORT)


def detail(check: Check) -> str:
    return run_checks([check])[check.name].detail


def test_what_hangs_is_waited_for_once() -> None:
    goes_on = threading.Event()
    runs: list[int] = []

    def probe() -> str:
        runs.append(1)
        assert goes_on.wait(60)
        return ""

    check = Check("part", probe)
    assert [detail(check) for _ in range(3)] == [f"no answer within {seconds} s" for seconds in (LONG, SHORT, SHORT)]
    assert len(runs) == 1
    goes_on.set()
    wait_until(lambda: check.seconds == LONG)
    assert run_checks([check])["part"].ok


def test_what_fails_is_waited_for_shortly_until_it_answers() -> None:
    fails = True

    def probe() -> str:
        if fails:
            raise ConnectionError
        return ""

    check = Check("part", probe)
    assert detail(check) == "does not answer (ConnectionError)"
    assert check.seconds == SHORT
    fails = False
    wait_until(lambda: detail(check) == "")
    assert check.seconds == LONG


def test_what_tells_a_fault_has_answered() -> None:
    check = Check("part", lambda: "three tiers are behind")
    assert detail(check) == "three tiers are behind"
    assert check.seconds == LONG


def test_what_is_known_to_be_away_is_not_waited_for_long() -> None:
    goes_on = threading.Event()

    def probe() -> str:
        assert goes_on.wait(60)
        return ""

    away, here = Check("away", probe, lambda: True), Check("here", lambda: "")
    found = run_checks([away, here])
    goes_on.set()
    assert found["away"].detail == f"no answer within {SHORT} s"
    assert found["here"].ok
