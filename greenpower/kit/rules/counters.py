"""Rule for counters: their limits let the energy through resets and dips be counted completely."""

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

FIRST_SAMPLE = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
SAMPLE_INTERVAL = timedelta(minutes=15)
SAMPLES_PER_REGISTER = 24
#: how fast the register rises in this rule, as a share of its greatest rate
SHARE_OF_GREATEST_RATE = 0.5


def check_counters(plugin: Plugin) -> Iterator[Problem]:
    """The energy of each register is counted completely, also with a reset and with a single sample of 0."""
    for datatype in plugin.datatypes:
        for field in datatype.fields:
            if field.kind is Kind.COUNTER and field.greatest_rate is not None:
                yield from _check_register(plugin, datatype, field, field.greatest_rate)


def _check_register(plugin: Plugin, datatype: DataType, field: Field, rate: float) -> Iterator[Problem]:
    rise = rate * SHARE_OF_GREATEST_RATE * SAMPLE_INTERVAL.total_seconds() / 3600
    plain = [rise * number for number in range(1, SAMPLES_PER_REGISTER + 1)]
    half = SAMPLES_PER_REGISTER // 2
    reset = [*plain[:half], *(rise * number for number in range(SAMPLES_PER_REGISTER - half))]
    dipped = [*plain[:half], 0.0, *plain[half + 1 :]]
    counted = rise * (SAMPLES_PER_REGISTER - 1)
    for what, values, wanted in (
        ("normal samples", plain, counted),
        ("samples with a reset", reset, counted - rise),
        ("samples with a single 0", dipped, counted),
    ):
        found = _energy(datatype, field.name, values)
        if found is None or abs(found - wanted) > counted * 1e-9:
            counted_text = "no plausible sample" if found is None else f"counted {found:g} {field.unit}"
            yield Problem(
                place=f"{shown(plugin.folder / '__init__.py')}: field {field.name}",
                found=f"{what} at half of greatest_rate={rate:g}: {counted_text}",
                expected=f"{wanted:g} {field.unit}",
                fix="make low=, high=, modulus= and greatest_rate= consistent; high= is the end of the register",
            )
            return


def _energy(datatype: DataType, name: str, values: Sequence[float]) -> float | None:
    """The energy that ingest and rollups count from samples of a register; None if every sample is rejected."""
    checker = Checker(datatype)
    others = {field.name: _plausible(field) for field in datatype.fields if field.name != name}
    times, payloads = [], []
    for number, value in enumerate(values):
        with suppress(FrameError):  # a single 0 may be a zero frame
            payloads.append(checker.check({**others, name: value})[0])
            times.append(FIRST_SAMPLE + SAMPLE_INTERVAL * number)
    rolled = roll(
        times, payloads, begin=FIRST_SAMPLE, end=FIRST_SAMPLE + DAY, length=86_400, spec=Spec.from_datatype(datatype),
        settled_before=FIRST_SAMPLE + 2 * DAY,
    )  # fmt: skip
    state = rolled.buckets[0].stats.get(name) if rolled.buckets else None
    return None if state is None else float(energy(state))


def _plausible(field: Field) -> float:
    """A value inside the limits of a field."""
    low = 0.0 if field.low is None else field.low
    return low + 1 if field.high is None else (low + field.high) / 2 or field.high
