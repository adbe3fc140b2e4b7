"""Daily registers: where a day begins, and what it counts; totals by hand."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from zoneinfo import ZoneInfo

import pytest

from greenpower.measure.counter.rules import Incident
from greenpower.measure.roll import Rolled
from greenpower.measure.windows import floor
from tests.measure.plain_series import Number, PlainMeter
from tests.measure.rolled import FIELD, rolled
from tests.measure.series import Series

BERLIN, KATHMANDU, HAVANA = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu"), ZoneInfo("America/Havana")
BEIRUT, SANTIAGO = ZoneInfo("Asia/Beirut"), ZoneInfo("America/Santiago")
MINUTE, QUARTER, HOUR, DAY = timedelta(minutes=1), timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
CASE = (6.1, 6.3, 0.0, 6.3, 0.1, 0.2, 0.3, 0.4)
#: zone, the first moment of a local day; among them days with 23 and 25 hours, and midnights that are skipped or
#: come twice.
NIGHTS: list[tuple[tzinfo, datetime]] = [
    (BERLIN, datetime(2026, 11, 19, 23, tzinfo=UTC)),
    (BERLIN, datetime(2026, 10, 24, 22, tzinfo=UTC)),
    (BERLIN, datetime(2026, 10, 25, 23, tzinfo=UTC)),
    (BERLIN, datetime(2026, 3, 29, 22, tzinfo=UTC)),
    (KATHMANDU, datetime(2026, 11, 19, 18, 15, tzinfo=UTC)),
    (HAVANA, datetime(2026, 3, 8, 5, tzinfo=UTC)),
    (HAVANA, datetime(2026, 11, 1, 4, tzinfo=UTC)),
    (SANTIAGO, datetime(2026, 9, 6, 4, tzinfo=UTC)),
    (BEIRUT, datetime(2026, 3, 28, 22, tzinfo=UTC)),
    (UTC, datetime(2026, 11, 20, tzinfo=UTC)),
]


def of(start: datetime, values: Sequence[Number], zone: tzinfo, every: timedelta = QUARTER) -> Rolled:
    meter = PlainMeter(kind="daily", floor=50, rate=100_000, stale_after=1_020, zone=zone)
    series = Series(samples=[(start + every * index, value) for index, value in enumerate(values)])
    return rolled(series, meter, length=3_600, begin=floor(start, 86_400), carries={FIELD: None})


def counts(result: Rolled) -> int:
    return sum(slot.energy for slot in result.slots[FIELD])


def told(result: Rolled) -> set[tuple[Incident, bool]]:
    return {(event.incident, event.open) for event in result.incidents}


@pytest.mark.parametrize(("zone", "midnight"), NIGHTS)
@pytest.mark.parametrize("factor", [1, 0.2])
@pytest.mark.parametrize("late", [-40, -20, -7, 0, 5, 12, 25])
def test_a_register_bounces_at_midnight(zone: tzinfo, midnight: datetime, factor: float, late: int) -> None:
    """A clock that is some minutes off changes nothing."""
    values = [round(value * factor, 6) for value in CASE]
    result = of(midnight - 2 * QUARTER + late * MINUTE, values, zone)
    assert counts(result) == round(600_000 * factor)
    assert not any(is_open for _, is_open in told(result))


@pytest.mark.parametrize(("zone", "midnight"), NIGHTS)
@pytest.mark.parametrize("every", [MINUTE, 10 * MINUTE, QUARTER, HOUR])
@pytest.mark.parametrize("late", [-35, -3, 0, 4, 33])
def test_days_add_up(zone: tzinfo, midnight: datetime, every: timedelta, late: int) -> None:
    """Each day counts what its register shows at its end: nothing is lost but what nobody showed."""
    start, step = midnight - 5 * HOUR + timedelta(seconds=7), 0.05
    values: list[float] = []
    total, day_counts = 0, 0
    here, day = start, (start - late * MINUTE).astimezone(zone).date()
    while here < midnight + 30 * HOUR:
        if (here - late * MINUTE).astimezone(zone).date() != day:
            day, day_counts = (here - late * MINUTE).astimezone(zone).date(), 0
        day_counts += 1
        values.append(round(step * day_counts, 6))
        total += 1
        here += every
    result = of(start, values, zone, every)
    assert counts(result) == round((total - 1) * step * 1e6) and not result.incidents


@pytest.mark.parametrize("every", [MINUTE, QUARTER, HOUR])
@pytest.mark.parametrize("level", [0, 5.5])
def test_idle_days(every: timedelta, level: float) -> None:
    """Nothing but zeros; a register that is idle after a day with use; and one that begins after idle days."""
    midnight = NIGHTS[0][1]
    before = [level] * int(3 * HOUR / every)
    idle = [0.0] * int(30 * HOUR / every)
    result = of(midnight - 3 * HOUR, [*before, *idle, 0.1, 0.3, 0.6], BERLIN, every)
    assert counts(result) == 600_000 and not result.incidents


@pytest.mark.parametrize(
    ("name", "times", "values", "total"),
    [
        ("silent over midnight", (-3, -2, 7, 8), (5.0, 5.5, 1.5, 1.75), 0.5 + 1.5 + 0.25),
        ("and more than on the day before", (-3, -2, 7, 8), (1.0, 1.5, 2.5, 2.75), 0.5 + 2.5 + 0.25),
        ("nearly as much", (-3, -2, 7, 8), (2.0, 2.5, 2.4, 2.65), 0.5 + 2.4 + 0.25),
        ("silent over three midnights", (-3, -2, 55, 56), (1.0, 1.5, 3.5, 3.75), 0.5 + 3.5 + 0.25),
        ("more than can be since", (-3, -2, 50, 51), (1.0, 1.5, 900, 900.5), 0.5 + 898.5 + 0.5),
        ("every hour, little use", (-1.5, -0.5, 0.5, 1.5, 2.5, 3.5), (0.2, 0.25, 0.3, 0.5, 0.7, 0.9), 0.05 + 0.9),
        ("begun early, then silent", (-1.4, -0.9, -0.4, 1.5), (6.0, 6.1, 0.2, 0.9), 0.1 + 0.2 + 0.7),
        ("a dip before midnight", (-1, -0.75, -0.5, -0.25, 0.1, 0.3), (6.0, 0, 6.2, 6.3, 0.1, 0.2), 0.3 + 0.2),
        ("a small fall near midnight", (-1, -0.5, -0.25, 0.25, 0.5), (6.0, 6.3, 6.29, 0.1, 0.2), 0.3 + 0.2),
        ("a reset by day", (-9, -8, -7, -6, -5, -4), (5.0, 5.2, 0.1, 0.2, 0.3, 0.4), 0.2 + 0.4),
    ],
)
def test_where_a_day_begins(name: str, times: tuple[float, ...], values: tuple[float, ...], total: float) -> None:
    """times: hours after midnight."""
    meter = PlainMeter(kind="daily", floor=50, stale_after=1_020, zone=BERLIN)
    samples = [(NIGHTS[0][1] + hour * HOUR, value) for hour, value in zip(times, values, strict=True)]
    result = rolled(
        Series(samples=samples), meter, length=3_600, begin=floor(samples[0][0], 86_400), carries={FIELD: None}
    )
    assert counts(result) == round(total * 1e6)
    assert not any(event.open for event in result.incidents)


def test_the_newest_samples_count_the_rise_until_more_has_come() -> None:
    """Every hour, half an hour after midnight: whether the register begins again is told by the three after it."""
    start = NIGHTS[0][1] - 2.5 * HOUR
    values = [0.1, 0.2, 0.25, 0.3, 0.5, 0.7, 0.9]
    for known, total in ((4, 0.2), (6, 0.6), (7, 0.15 + 0.9)):
        result = of(start, values[:known], BERLIN, HOUR)
        assert counts(result) == round(total * 1e6)
        assert (FIELD in result.open) == (known < 7)


@pytest.mark.parametrize("late", [-50, -20, 0, 7, 40])
@pytest.mark.parametrize("every", [5 * MINUTE, QUARTER, HOUR])
@pytest.mark.parametrize("little", [False, True])
def test_any_window_computed_alone_is_as_in_the_whole(every: timedelta, late: int, little: bool) -> None:
    """With so few samples before it as do; where they do not, the stretch says so."""
    zone, midnight = NIGHTS[1]
    start = midnight - 12 * every + late * MINUTE
    values = [*(5 + 0.05 * number for number in range(10)), 5.5, 5.55, 0, 5.6, 0.1, 0.2, 0.3, *([0.35] * 12)]
    if little:
        values = [0.01 * number for number in range(1, 13)] + [0.15 + 0.1 * number for number in range(12)]
    meter = PlainMeter(kind="daily", floor=50, zone=zone)
    samples = [(start + every * number, round(value, 3)) for number, value in enumerate(values)]
    begin, series = floor(start, 86_400), Series(samples=samples)
    whole = rolled(series, meter, length=900, begin=begin, carries={FIELD: None})
    wanted = {bucket.start: bucket.stats.get(FIELD) for bucket in whole.buckets}
    compared = 0
    for number in range(4, len(samples) - 1):
        window = floor(samples[number][0], 900)
        inside = [place for place, (at, _) in enumerate(samples) if window <= at < window + QUARTER]
        for before in (4, 5, 6, 7, 8, 20):
            first = max(0, inside[0] - before)
            alone = rolled(series, meter, length=900, begin=window, end=window + QUARTER, first=first, slots=False)
            if FIELD not in alone.short:
                assert alone.buckets[0].stats.get(FIELD) == wanted[window], (number, before)
                compared += 1
    assert compared
