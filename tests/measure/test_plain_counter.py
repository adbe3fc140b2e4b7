"""The plain recomputation itself, held against totals that were worked out by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from fractions import Fraction

import pytest

from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import count
from tests.measure.plain_series import Number, PlainMeter, PlainSwap

T0 = datetime(2026, 11, 20, tzinfo=UTC)
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)
METER = PlainMeter(rate=100_000, floor=50, stale_after=1_020)


def of(values: Sequence[Number], *, every: timedelta = QUARTER, meter: PlainMeter = METER) -> PlainCount:
    return count([(T0 + every * index, value) for index, value in enumerate(values)], meter)


def at(index: int) -> datetime:
    return T0 + QUARTER * index


#: name, registers a quarter of an hour apart, total, incidents (kind, place, status).
BY_HAND: list[tuple[str, list[Number], str, list[tuple[str, int, str]]]] = [
    ("nothing happens", [100, 100.25, 100.5, 100.5, 101], "1", []),
    ("one zero", [3.737, 3.737, 0.0, 3.746, 3.75], "0.013", [("dip", 2, "noted")]),
    ("a high sample", [354.8, 355.0, 3552.0, 355.4, 355.6, 355.8, 356.0], "1.2", [("spike", 2, "noted")]),
    ("a wrong first sample", [9999.0, 101.0, 101.5, 102.0, 102.5, 103.0], "2", [("spike", 0, "noted")]),
    (
        "zeros for hours",
        [3500.0, 3500.5, 0, 0, 0, 0, 0, 0, 3502.0, 3502.5, 3503.0],
        "3",
        [("dip", 2, "noted")],
    ),
    (
        "falls a little at a reboot",
        [544.587493, 544.587493, *[544.587] * 6, 544.6, 544.61],
        "0.023",
        [("small_fall", 2, "noted")],
    ),
    (
        "falls again and again",
        [100.0, 99.9, 99.8, 99.7, 99.6, 99.5, 99.4, 99.3],
        "0",
        [("small_fall", 1, "open")],
    ),
    (
        "another meter",
        [5423.7, 5423.9, 31.2, 31.3, 31.4, 31.5, 31.6],
        "0.6",
        [("suspect_restart", 2, "open")],
    ),
    (
        "yesterday's register once more",
        [6.1, 6.3, 0.0, 6.3, 0.1, 0.2, 0.3, 0.4],
        "0.6",
        [("dip", 2, "noted"), ("reset", 4, "noted")],
    ),
    ("begins again", [838.8, 838.84, 0.01, 0.05, 0.1, 0.15], "0.19", [("reset", 2, "noted")]),
    (
        "another unit",
        [12.5, 12.6, 12.7, 12800, 12900, 13000, 13100],
        "0.2",
        [("unit_change", 3, "open")],
    ),
    (
        "a level that nobody can have counted",
        [100, 101, 102, 5102, 5103, 5104, 5105, 5106],
        "6",
        [("suspect_step", 3, "open")],
    ),
    (
        "small falls with flats between",
        [100, 99.9, 99.9, 99.8, 99.8, 99.8, 99.8, 100],
        "0.2",
        [("small_fall", 1, "open")],
    ),
    (
        "two meters under one id",
        [value for n in range(9) for value in (100 + 0.25 * n, 5000 + 0.25 * n)][:-1],
        "2",
        [("spike", 2 * n + 1, "noted") for n in range(8)],
    ),
    ("a new rate that goes on", [0, 1, 2, 3, 103, 203, 303, 403, 503, 504, 505, 506], "506", []),
]


@pytest.mark.parametrize(("values", "total", "found"), [row[1:] for row in BY_HAND], ids=[row[0] for row in BY_HAND])
def test_totals_by_hand(values: list[Number], total: str, found: list[tuple[str, int, str]]) -> None:
    counted = of(values)
    assert counted.total == Fraction(total)
    assert [(one.kind, one.at, one.status) for one in counted.incidents] == [
        (kind, at(place), status) for kind, place, status in found
    ]


def test_across_the_end_of_a_register() -> None:
    meter = PlainMeter(rate=100_000, floor=50, modulus=838.8607)
    counted = of([838.8, 838.84, 0.01, 0.05, 0.1, 0.15], meter=meter)
    assert counted.total == Fraction("0.2107") and [one.kind for one in counted.incidents] == ["rollover"]


def test_a_burst_is_one_step_to_its_last() -> None:
    values = [1000 + 5 * n for n in range(13)]
    samples = [(T0 + timedelta(milliseconds=n), value) for n, value in enumerate(values)]
    counted = count(samples, METER, [time for time, _ in samples])
    assert counted.total == 60 and [step.value for step in counted.steps] == [1000, 1060]
    later = [(T0 - DAY, 940), *samples]
    counted = count(later, METER, [time for time, _ in samples])
    assert counted.total == 120 and [step.value for step in counted.steps] == [940, 1060]


def test_a_sample_on_a_boundary_belongs_to_the_stretch_that_begins_there() -> None:
    counted = of([100 + 0.25 * n for n in range(40)])
    hours = [counted.energy(at(4 * n), at(4 * n + 4)) for n in range(10)]
    assert hours == [750_000, *[1_000_000] * 9]
    assert counted.energy(at(-4), at(0)) is None and counted.register_before(at(0)) is None
    assert counted.register_before(at(4)) == 100.75 and counted.samples(at(0), at(4)) == 4


def test_what_was_counted_in_a_silence_falls_into_the_stretch_of_the_next_sample() -> None:
    late = T0 + 21 * DAY + timedelta(minutes=50)
    samples = [(at(n), 300 + n) for n in range(8)] + [(late + QUARTER * n, 1307 + n) for n in range(8)]
    counted = count(samples, METER)
    hour = late - timedelta(minutes=50)
    energies = [counted.energy(hour + n * 4 * QUARTER, hour + (n + 1) * 4 * QUARTER) for n in range(-1, 3)]
    assert energies == [None, 1000 * 10**6, 4 * 10**6, 3 * 10**6]
    assert counted.silence(hour, hour + DAY) == int((late - at(7)).total_seconds())


def test_what_an_operator_decides() -> None:
    jump = [100, 101, 102, 5102, 5103, 5104, 5105, 5106]
    fall = [5423.7, 5423.9, 31.2, 31.3, 31.4, 31.5, 31.6]
    small = [100, 100.5, 99.5, 99.5, 99.5, 100]

    def total(values: Sequence[Number], place: int, verdict: str) -> Fraction:
        return of(values, meter=PlainMeter(rate=100_000, floor=50, verdicts={at(place): verdict})).total

    assert total(jump, 3, "confirmed") == 5006 and total(jump, 3, "rejected") == 6
    assert total(fall, 2, "confirmed") == Fraction("31.8") and total(fall, 2, "rejected") == Fraction("0.6")
    assert total(small, 2, "confirmed") == total(small, 2, "rejected") == 1


def test_another_meter_that_was_reported() -> None:
    swap = PlainSwap(at=at(3), last=103, first=7)
    values = [100, 101, 102, 7.5, 8, 8.5, 9]
    assert of(values, meter=PlainMeter(rate=100_000, floor=50, swaps=(swap,))).total == 2 + 1 + Fraction("2")


def test_the_power_of_a_device_replaces_what_is_declared_and_what_is_learned() -> None:
    values = [100, 101, 102, 202, 203, 204, 205]
    assert of(values, meter=PlainMeter(rate=100_000, floor=50)).total == 5
    assert of(values, meter=PlainMeter(rate=100_000, floor=50, power=400)).total == 105
    assert of(values, meter=PlainMeter(rate=100_000, floor=50, power=1)).total == 0


def test_large_units_without_a_floor_have_no_limit() -> None:
    assert of([0, 10**8, 10**9], meter=PlainMeter()).total == 10**9
    assert of([0, 10**10, 10**10], meter=PlainMeter()).total == 0


def test_a_change_of_unit_that_is_taken_back() -> None:
    there = [12.5, 12.6, 12.7, 12800, 12900, 13000, 13100, 13.1, 13.2, 13.3, 13.4]
    assert of(there).total == Fraction("0.9")
    long = [12.5, 12.6, 12.7, *[12800 + 100 * n for n in range(1200)]]
    assert of(long).total == Fraction("0.2")
