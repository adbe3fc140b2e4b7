"""Which of two times a stamp of the repeated hour means: the rule by itself."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from greenpower.ingest.steps.clock import ClockRule
from greenpower.ingest.steps.repeat_window import Placed, Window
from greenpower.ingest.steps.repeated_hour import Question, choose
from greenpower.ingest.steps.repeated_stamp import repeat_of
from greenpower.mongo.readings.store import Number

BERLIN = ZoneInfo("Europe/Berlin")
CHANGE = datetime(2026, 10, 25, 1, tzinfo=UTC)
HOUR, TOLERANCE = timedelta(hours=1), timedelta(seconds=300)
LATER = CHANGE + timedelta(days=3)
RULE = ClockRule(backlog=timedelta(days=35), tolerance=TOLERANCE, zone=BERLIN)

Payload = dict[str, Number]


def minute(minutes: float) -> datetime:
    """A time, in minutes after the change."""
    return CHANGE + timedelta(minutes=minutes)


def window(*readings: tuple[float, Payload], before: tuple[float, Payload] | None = (-75, {"c": 10})) -> Window:
    """Readings that came in their order, a second apart; the last arrives at LATER."""
    placed = [
        Placed(minute(at), payload, LATER - timedelta(seconds=len(readings) - number))
        for number, (at, payload) in enumerate(readings)
    ]
    return Window(None if before is None else Placed(minute(before[0]), before[1], LATER - HOUR), placed)


def asked(local: float, payload: Payload, *, arrival: datetime = LATER, dup: bool = False) -> Question:
    """local: minutes of the hour on the device's clock."""
    return Question(
        payload=payload,
        first=minute(local - 60),
        second=minute(local),
        arrival=arrival,
        counters=frozenset({"c", "d"}),
        dup=dup,
        tolerance=TOLERANCE,
    )


def chosen(question: Question, stored: Window) -> float:
    """Minutes after the change."""
    return (choose(question, stored).time - CHANGE) / timedelta(minutes=1)


FIRST_PASS: tuple[tuple[float, Payload], ...] = (
    (-60, {"c": 11, "g": 1}),
    (-45, {"c": 12, "g": 2}),
    (-30, {"c": 13, "g": 3}),
)
BOTH: tuple[tuple[float, Payload], ...] = (*FIRST_PASS, (-15, {"c": 14, "g": 4}), (0, {"c": 15, "g": 5}))


@pytest.mark.parametrize(
    ("stored", "local", "payload", "time"),
    [
        # In order.
        ((), 0, {"c": 11}, -60),
        (FIRST_PASS, 45, {"c": 14}, -15),
        (FIRST_PASS, 45, {"g": 9}, -15),
        (FIRST_PASS, 30, {"c": 15, "g": 9}, 30),
        (FIRST_PASS, 20, {"c": 15, "g": 9}, 20),
        (FIRST_PASS, 20, {"g": 9}, 20),
        (BOTH, 15, {"c": 16}, 15),
        # The same values.
        (BOTH, 15, {"c": 12, "g": 2}, -45),
        (BOTH, 15, {"c": 12}, -45),
        (BOTH, 0, {"c": 15, "g": 5}, 0),
        # Fragments go on with the newest reading, whichever values they share with others.
        (BOTH, 0, {"h": 1}, 0),
        (((-60, {"c": 11, "z": 0}), (0, {"c": 15})), 0, {"z": 0}, 0),
        # Registers: what is late fits in at one of the times.
        (((-60, {"c": 11}), (-30, {"c": 13}), (0, {"c": 15})), 15, {"c": 12}, -45),
        (((-60, {"c": 11}), (-30, {"c": 13}), (30, {"c": 17})), 15, {"c": 16}, 15),
        # A dip, a reset, a spike: order says it.
        (FIRST_PASS, 45, {"c": 0.5}, -15),
        (BOTH, 15, {"c": 0.5}, 15),
        (((-60, {"c": 11}), (-45, {"c": 9999})), 30, {"c": 13}, -30),
        (((-60, {"c": 11}), (-45, {"c": 1})), 30, {"c": 2}, -30),
        # A meter repeats a frame and differs in a last digit.
        (((-60, {"c": 11.125, "d": 4.0}),), 0, {"c": 11.126, "d": 4.0}, -60),
        (((-60, {"c": 11, "d": 4}),), 0, {"c": 12, "d": 4}, 0),
    ],
)
def test_the_time_of_a_backlog(
    stored: tuple[tuple[float, Payload], ...], local: float, payload: Payload, time: float
) -> None:
    assert chosen(asked(local, payload), window(*stored)) == time


def test_values_that_stand_still_say_nothing_but_for_a_frame_that_comes_again() -> None:
    at_rest = window((-60, {"c": 11}), (-45, {"c": 11}), before=(-75, {"c": 11}))
    assert chosen(asked(0, {"c": 11}), at_rest) == 0
    assert chosen(asked(0, {"c": 11}, dup=True), at_rest) == -60
    assert chosen(asked(15, {"c": 11}), at_rest) == -45  # the frame before, once more


def test_a_device_that_was_silent_and_sends_at_once_is_in_the_second_pass() -> None:
    arrival = minute(20) + timedelta(seconds=3)
    befores: list[tuple[float, Payload] | None] = [None, (-300, {"c": 1})]
    for before in befores:
        assert chosen(asked(20, {"c": 11}, arrival=arrival), window(before=before)) == 20
        assert chosen(asked(20, {"c": 11}), window(before=before)) == -40
    assert chosen(asked(0, {"c": 11}, arrival=minute(0)), window()) == -60  # goes on with what was before


def test_the_lower_register_of_one_stamp_is_of_the_first_pass() -> None:
    """Of two processes the one with the later frame was quicker."""
    stored = window((-60, {"c": 15}))
    choice = choose(asked(0, {"c": 11}), stored)
    assert (choice.time, choice.moved) == (minute(-60), stored.at[minute(-60)])
    stored = window((0, {"c": 11}))
    choice = choose(asked(0, {"c": 15}), stored)
    assert (choice.time, choice.moved) == (minute(0), stored.at[minute(0)])
    # Lower than all before: that is no sign of its place.
    assert choose(asked(0, {"c": 1}), window((-60, {"c": 15}))) == (minute(0), None)


def test_without_registers_the_frame_that_came_earlier_is_of_the_first_pass() -> None:
    stored = window((-60, {"g": 5}))
    early = stored.at[minute(-60)].received_at - timedelta(milliseconds=5)
    choice = choose(asked(0, {"g": 1}, arrival=early), stored)
    assert (choice.time, choice.moved) == (minute(-60), stored.at[minute(-60)])


def test_a_reading_that_can_only_be_of_the_first_pass_is_not_moved() -> None:
    stored = Window(None, [Placed(minute(-60), {"c": 15}, minute(-59))])  # it came an hour before the second
    assert choose(asked(0, {"c": 11}), stored) == (minute(0), None)


@pytest.mark.parametrize(
    ("zone", "change", "length"),
    [
        ("Europe/Berlin", CHANGE, 60),
        ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC), 60),
        ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC), 30),
        ("America/St_Johns", datetime(2026, 11, 1, 4, 30, tzinfo=UTC), 60),
    ],
)
@pytest.mark.parametrize("part", [0, 0.3, 0.999])
def test_the_repeated_hour_of_a_zone(zone: str, change: datetime, length: int, part: float) -> None:
    place, span = ZoneInfo(zone), timedelta(minutes=length)
    for time in (change - span * (1 - part), change + span * part):
        local = time.astimezone(place).replace(tzinfo=None, fold=0)
        first, second = RULE.candidates(local.replace(microsecond=local.microsecond // 1000 * 1000), place)
        assert second is not None
        assert min(abs(time - first), abs(time - second)) < timedelta(milliseconds=1)
        assert repeat_of(first, second, place) == (change - span, change, change + span)
    outside = (change - span - timedelta(seconds=1), change + span)
    for time in outside:
        assert RULE.candidates(time.astimezone(place).replace(tzinfo=None, fold=0), place) == (time, None)


def test_a_stamp_that_is_left_out_in_spring_is_read_by_the_clock_that_was_not_put_forward() -> None:
    """02:30 on the day on which 02:00 is followed by 03:00: one time, an hour after 01:30, whenever it arrives."""
    left_out = datetime(2026, 3, 29, 2, 30)
    time = datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert RULE.candidates(left_out) == (time, None)
    assert RULE.candidates(left_out - HOUR) == (time - HOUR, None)
    for arrival in (time, time - HOUR, time + timedelta(days=3)):
        assert RULE.measured(left_out, arrival) == time
    # A clock that is put forward some seconds late stays in order until then.
    stamps = [datetime(2026, 3, 29, 1, 59, 58), datetime(2026, 3, 29, 2, 0, 3), datetime(2026, 3, 29, 3, 0, 8)]
    times = [RULE.candidates(one)[0] for one in stamps]
    assert [(later - times[0]).total_seconds() for later in times] == [0, 5, 10]
