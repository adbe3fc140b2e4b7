"""Counters keep their energy through restarts and dips: their limits say what the meter can do, not less."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from greenpower.datatype import DataType, Field, FrameError, Kind
from greenpower.datatype.check import Checker
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown
from greenpower.measure.counter.state import energy
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec

BEGIN = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
SAMPLE_INTERVAL = timedelta(minutes=15)
SAMPLES = 24
#: the share of the greatest rate at which the register rises here
LOAD = 0.5


def check_counters(plugin: Plugin) -> Iterator[Problem]:
    """A day of each register, plain, restarted in its middle, and with a sample of 0 in it."""
    for datatype in plugin.datatypes:
        for field in datatype.fields:
            if field.kind is Kind.COUNTER and field.greatest_rate is not None:
                yield from _days(plugin, datatype, field, field.greatest_rate)


def _days(plugin: Plugin, datatype: DataType, field: Field, rate: float) -> Iterator[Problem]:
    rise = rate * LOAD * SAMPLE_INTERVAL.total_seconds() / 3600
    plain = [rise * number for number in range(1, SAMPLES + 1)]
    half = SAMPLES // 2
    restarted = [*plain[:half], *(rise * number for number in range(SAMPLES - half))]
    dipped = [*plain[:half], 0.0, *plain[half + 1 :]]
    counted = rise * (SAMPLES - 1)
    for what, values, wanted in (
        ("a plain day", plain, counted),
        ("a restart", restarted, counted - rise),
        ("a sample of 0", dipped, counted),
    ):
        found = _energy(datatype, field.name, values)
        if found is None or abs(found - wanted) > counted * 1e-9:
            told = "no sample of it is plausible" if found is None else f"{found:g} {field.unit} are counted"
            yield Problem(
                place=f"{shown(plugin.folder / '__init__.py')}: field {field.name}",
                found=f"{what} at half of greatest_rate={rate:g}: {told}",
                expected=f"{wanted:g} {field.unit}",
                do="make low=, high=, modulus= and greatest_rate= agree: high is where the register ends",
            )
            return


def _energy(datatype: DataType, name: str, values: Sequence[float]) -> float | None:
    """What is counted of a register's samples, as ingest and rollups do it; None where nothing is left of them."""
    checker = Checker(datatype)
    others = {field.name: _plausible(field) for field in datatype.fields if field.name != name}
    times, payloads = [], []
    for number, value in enumerate(values):
        with suppress(FrameError):  # a 0 alone may be a zero frame
            payloads.append(checker.check({**others, name: value})[0])
            times.append(BEGIN + SAMPLE_INTERVAL * number)
    rolled = roll(
        times, payloads, begin=BEGIN, end=BEGIN + DAY, length=86_400, spec=Spec.from_datatype(datatype),
        settled_before=BEGIN + 2 * DAY,
    )  # fmt: skip
    state = rolled.buckets[0].stats.get(name) if rolled.buckets else None
    return None if state is None else float(energy(state))


def _plausible(field: Field) -> float:
    low = 0.0 if field.low is None else field.low
    return low + 1 if field.high is None else (low + field.high) / 2 or field.high
