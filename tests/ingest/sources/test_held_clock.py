"""A clock that stands still while a connection is held back."""

from __future__ import annotations

from greenpower.ingest.sources.held_clock import MAX_HOLDS_REMEMBERED, HeldClock


class Time:
    """A time that is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_it_stands_still_between_stop_and_start() -> None:
    time = Time()
    clock = HeldClock(time)
    assert clock.now() == 100
    clock.stop()
    time.now = 150
    clock.stop()
    assert clock.now() == 100
    clock.start()
    clock.start()
    assert clock.now() == 100
    time.now = 153
    assert clock.now() == 103


def test_age_is_real_time() -> None:
    time = Time()
    clock = HeldClock(time)
    before = clock.now()
    time.now = 101
    clock.stop()
    time.now = 110
    assert clock.age(before) == 10
    clock.start()
    time.now = 112
    after = clock.now()
    assert clock.age(before) == 12 and clock.age(after) == 0
    clock.stop()
    time.now = 120
    clock.start()
    assert clock.age(before) == 20 and clock.age(after) == 8
    assert clock.age(clock.now() + 1) == 0, "never in the future"


def test_of_many_holds_it_remembers_the_latest() -> None:
    time = Time()
    clock = HeldClock(time)
    for _ in range(10 * MAX_HOLDS_REMEMBERED):
        clock.stop()
        time.now += 5
        clock.start()
        time.now += 1
    assert clock.now() == 100 + 10 * MAX_HOLDS_REMEMBERED
    assert clock.age(clock.now() - 2) == 2 + 2 * 5
