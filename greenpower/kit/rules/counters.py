"""Rule for counters: their limits let the energy through resets, dips and roll-overs be counted completely."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta

from greenpower.datatype import DataType, Field, FrameError, Kind
from greenpower.datatype.check import Checker
from greenpower.datatype.unit import energy_per_hour
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, shown
from greenpower.measure.kinds import state_energy
from greenpower.measure.roll import roll
from greenpower.measure.spec import Spec, floor_of

FIRST_SAMPLE = datetime(2026, 11, 23, tzinfo=UTC)
DAY = timedelta(days=1)
SAMPLE_INTERVAL = timedelta(minutes=15)
SAMPLES_PER_REGISTER = 24
#: how fast the register rises in this rule, as a share of its greatest rate
SHARE_OF_GREATEST_RATE = 0.5
#: kW (kvar, kVA) that a meter of energy can be made for: from one socket to the largest power station
LEAST_POWER, MOST_POWER = 0.1, 25_000_000


def check_counters(plugin: Plugin) -> Iterator[Problem]:
    """The energy of each register is counted completely: rising, with a reset, with one 0, and across its end."""
    for datatype in plugin.datatypes:
        for field in datatype.fields:
            if not field.kind.has_energy:
                continue
            place = f"{shown(plugin.folder / '__init__.py')}: field {field.name}"
            # Where no rate is declared, the limit is learned; every meter is believed its floor.
            rate = field.greatest_rate or floor_of(field.unit)
            if rate is not None:
                yield from _check_register(place, datatype, field, rate)
            if field.greatest_rate is not None:
                yield from _check_power(place, field, field.greatest_rate)


def _check_power(place: str, field: Field, rate: float) -> Iterator[Problem]:
    """A rate in the wrong unit: 50 for 50 kW of a register that counts Wh, or 100000 W of one that counts kWh."""
    per_kilowatt = energy_per_hour(field.unit)
    if per_kilowatt is None or LEAST_POWER <= rate / per_kilowatt <= MOST_POWER:
        return
    yield Problem(
        place=place,
        found=f"greatest_rate={rate:g} {field.unit} per hour, which is {rate / per_kilowatt:g} kW",
        expected=f"the greatest power of such a meter, between {LEAST_POWER:g} and {MOST_POWER:g} kW",
        fix=f"give greatest_rate= in {field.unit} per hour: {per_kilowatt:g} for each kW",
        field=field.name,
    )


def _check_register(place: str, datatype: DataType, field: Field, rate: float) -> Iterator[Problem]:
    rise = rate * SHARE_OF_GREATEST_RATE * SAMPLE_INTERVAL.total_seconds() / 3600
    plain = [rise * number for number in range(1, SAMPLES_PER_REGISTER + 1)]
    half = SAMPLES_PER_REGISTER // 2
    reset = [*plain[:half], *(rise * number for number in range(SAMPLES_PER_REGISTER - half))]
    dipped = [*plain[:half], 0.0, *plain[half + 1 :]]
    counted = rise * (SAMPLES_PER_REGISTER - 1)
    if field.kind is Kind.DELTA:
        # Each tells what was used since the one before; the first one counts, too.
        plain, counted = [rise] * SAMPLES_PER_REGISTER, rise * SAMPLES_PER_REGISTER
    cases = [("normal samples", plain, counted)]
    if field.kind is Kind.COUNTER:
        cases += [("samples with a reset", reset, counted - rise), ("samples with a single 0", dipped, counted)]
    if field.modulus is not None:
        # Its end lies between two samples in the middle.
        first = field.modulus - (half - 0.5) * rise
        across = [(first + rise * number) % field.modulus for number in range(SAMPLES_PER_REGISTER)]
        cases.append((f"samples across modulus={field.modulus:g}", across, counted))
    for what, values, wanted in cases:
        found = _energy(datatype, field.name, values)
        if found is None or abs(found - wanted) > counted * 1e-9:
            counted_text = "no plausible sample" if found is None else f"counted {found:g} {field.unit}"
            limit = f"greatest_rate={rate:g}" if field.greatest_rate else f"a limit of {rate:g} per hour"
            yield Problem(
                place=place,
                found=f"{what} at half of {limit}: {counted_text}",
                expected=f"{wanted:g} {field.unit}",
                fix="make low=, high=, modulus= and greatest_rate= consistent; high= is the end of the register",
                field=field.name,
            )
            return


def _energy(datatype: DataType, name: str, values: Sequence[float]) -> float | None:
    """The energy that ingest and rollups count from samples of a register; None if every sample is rejected."""
    checker = Checker(datatype)
    [counted] = [field for field in datatype.fields if field.name == name]
    others = {field.name: field.as_sent(_plausible(field)) for field in datatype.fields if field.name != name}
    times, payloads = [], []
    for number, value in enumerate(values):
        with suppress(FrameError):  # a single 0 may be a zero frame
            payloads.append(checker.check({**others, name: counted.as_sent(value)})[0])
            times.append(FIRST_SAMPLE + SAMPLE_INTERVAL * number)
    rolled = roll(
        times, payloads, begin=FIRST_SAMPLE, end=FIRST_SAMPLE + DAY, length=86_400, spec=Spec.from_datatype(datatype),
        settled_before=FIRST_SAMPLE + 2 * DAY,
    )  # fmt: skip
    state = rolled.buckets[0].stats.get(name) if rolled.buckets else None
    return None if state is None else state_energy(state)


def _plausible(field: Field) -> float:
    """A value inside the limits of a field."""
    low = 0.0 if field.low is None else field.low
    return low + 1 if field.high is None else (low + field.high) / 2 or field.high
