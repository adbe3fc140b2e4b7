"""Tariffs: what is refused, which rate holds when, exact money. Against a plain lookup minute by minute."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenpower.energy.money import cost_of, rounded, share_of_month, total
from greenpower.energy.rate_calendar import RateCalendar, RateSpan
from greenpower.energy.tariff import (
    ALL_DAYS,
    HOLIDAY,
    ChargePeriod,
    DemandCharge,
    Direction,
    Rate,
    StandingCharge,
    TariffError,
    TariffVersion,
)

ZONES = ["Europe/Berlin", "Asia/Kathmandu", "America/St_Johns", "Australia/Lord_Howe", "Asia/Dhaka", "America/Havana"]
WORKDAYS = frozenset(range(5))
BASE = Rate(name="base", price=Decimal("0.25"))


def version(zone: str = "Europe/Berlin", **given: Any) -> TariffVersion:
    values: dict[str, Any] = {"number": 1, "valid_from": date(2020, 1, 1), "currency": "EUR", "rates": (BASE,)}
    return TariffVersion(**{**values, "zone": ZoneInfo(zone), **given})


def rate_at(versions: list[TariffVersion], direction: Direction, at: datetime) -> str | None:
    """The name of the rate at a time, as docs say it: by the wall clock, the first that holds."""
    local = at.astimezone(versions[0].zone)
    valid = [item for item in versions if item.valid_from <= local.date()]
    if not valid:
        return None
    now = max(valid, key=lambda item: item.valid_from)
    minute = local.hour * 60 + local.minute
    for rate in now.rates:
        if rate.direction is not direction:
            continue
        for begun, start, end in (
            (local.date(), rate.begin, rate.end if rate.end > rate.begin else 2880),
            (local.date() - timedelta(days=1), 0, rate.end if rate.end < rate.begin else 0),
        ):
            number = HOLIDAY if begun in now.holidays else begun.weekday()
            if start <= minute < end and number in rate.days and begun.month in rate.months:
                return rate.name
    return None


quarters = st.integers(0, 95).map(lambda number: number * 15)
conditions = st.builds(
    lambda begin, length, days, months, price: {
        "begin": begin,
        "end": (begin + length) % 1440 or 1440,
        "days": frozenset(days),
        "months": frozenset(months),
        "price": Decimal(price).scaleb(-4),
    },
    quarters,
    st.integers(1, 95).map(lambda number: number * 15),
    st.sets(st.integers(0, 7), min_size=1),
    st.sets(st.integers(1, 12), min_size=1),
    st.integers(-500, 9000),
)


@settings(max_examples=60, deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    start=st.datetimes(datetime(2009, 1, 2), datetime(2027, 12, 20)),
    days=st.integers(1, 5),
    first=st.lists(conditions, max_size=3),
    second=st.lists(conditions, max_size=2),
    direction=st.sampled_from(Direction),
)
def test_spans_say_what_the_clock_on_the_wall_says(
    zone: str,
    start: datetime,
    days: int,
    first: list[dict[str, Any]],
    second: list[dict[str, Any]],
    direction: Direction,
) -> None:
    begin = start.replace(minute=start.minute // 15 * 15, second=0, microsecond=0, tzinfo=UTC)
    end = begin + timedelta(days=days)

    def rates(given: list[dict[str, Any]], name: str) -> tuple[Rate, ...]:
        found = [Rate(name=f"{name}{number}", direction=direction, **item) for number, item in enumerate(given)]
        always = Rate(name=f"{name}-else", price=Decimal(1), direction=direction)
        return (*found, always, *([BASE] if direction is Direction.EXPORT else []))

    change = (begin + timedelta(days=1)).date()
    versions = [
        version(zone, number=1, valid_from=begin.date(), rates=rates(first, "a"), holidays=frozenset({change})),
        version(zone, number=2, valid_from=change, rates=rates(second, "b")),
    ]
    spans = list(RateCalendar(versions[::-1], direction).spans(begin, end))
    assert spans[0].begin == begin and spans[-1].end == end
    for span, following in pairwise(spans):
        assert span.end == following.begin and (span.rate, span.version) != (following.rate, following.version)
    at = begin
    found = iter(spans)
    span = next(found)
    while at < end:
        while at >= span.end:
            span = next(found)
        assert (span.rate.name if span.rate else None) == rate_at(versions, direction, at), at
        at += timedelta(minutes=15)


def names(spans: list[RateSpan]) -> list[tuple[str, str | None]]:
    return [(f"{span.begin:%d %H:%M}", span.rate.name if span.rate else None) for span in spans]


def test_a_night_rate_of_workdays_ends_on_the_morning_after() -> None:
    """Friday's night ends on Saturday; Sunday's is none. The day of the clock change has 23 hours."""
    night = Rate(name="night", price=Decimal("0.1"), days=WORKDAYS, begin=22 * 60, end=6 * 60)
    calendar = RateCalendar([version(rates=(night, BASE))], Direction.IMPORT)
    begin, end = datetime(2026, 3, 27, tzinfo=UTC), datetime(2026, 3, 31, tzinfo=UTC)
    assert names(list(calendar.spans(begin, end))) == [
        ("27 00:00", "night"), ("27 05:00", "base"), ("27 21:00", "night"), ("28 05:00", "base"),
        ("30 20:00", "night"),
    ]  # fmt: skip


def test_without_a_version_or_a_rate_there_is_no_price() -> None:
    begin = datetime(2019, 12, 31, 22, tzinfo=UTC)
    calendar = RateCalendar([version()], Direction.IMPORT)
    assert names(list(calendar.spans(begin, begin + timedelta(hours=2)))) == [("31 22:00", None), ("31 23:00", "base")]
    sold = RateCalendar([version()], Direction.EXPORT)
    assert [span.rate for span in sold.spans(begin, begin + timedelta(days=1))] == [None, None]
    assert [span.version for span in RateCalendar([], Direction.IMPORT).spans(begin, begin + timedelta(days=1))] == [
        None
    ]


@pytest.mark.parametrize(
    ("make", "said"),
    [
        (lambda: version(currency="euro"), "three capital letters"),
        (lambda: version(rates=()), "no rate for import"),
        (lambda: version(rates=(Rate(name="day", price=Decimal(1), begin=60),)), "must hold at any time"),
        (lambda: version(rates=(BASE, BASE)), "two parts have the name base"),
        (lambda: version(demand=DemandCharge(name="base", price=Decimal(1))), "two parts have the name base"),
        (lambda: Rate(name="", price=Decimal(1)), "no name"),
        (lambda: Rate(name="a", price=Decimal("NaN")), "not a price"),
        (lambda: Rate(name="a", price=Decimal("1e12")), "not a price"),
        (lambda: Rate(name="a", price=Decimal("0.123456789")), "more than 8 decimals"),
        (lambda: Rate(name="a", price=Decimal(1), days=frozenset({9})), "days are 0"),
        (lambda: Rate(name="a", price=Decimal(1), months=frozenset()), "months are 1 to 12"),
        (lambda: Rate(name="a", price=Decimal(1), begin=7), "quarter-hour"),
        (lambda: Rate(name="a", price=Decimal(1), begin=60, end=60), "same time"),
        (lambda: DemandCharge(name="peak", price=Decimal(1), minutes=20), "15 or 30"),
        (lambda: StandingCharge(name="fee", price=Decimal("Infinity"), per=ChargePeriod.DAY), "not a price"),
        (lambda: RateCalendar([version(), version(number=2)], Direction.IMPORT), "two versions are valid from"),
    ],
)  # fmt: skip
def test_what_cannot_be_used_says_why(make: Any, said: str) -> None:
    with pytest.raises(TariffError, match=said):
        make()


@given(st.lists(st.integers(-(10**15), 10**15), max_size=20), st.integers(-(10**12), 10**12))
def test_the_cost_of_parts_is_the_cost_of_the_whole(parts: list[int], price: int) -> None:
    per_unit = Decimal(price).scaleb(-8)
    assert total([cost_of(part, per_unit) for part in parts]) == cost_of(sum(parts), per_unit)
    assert cost_of(1_000_000, per_unit, Decimal("0.001")) == per_unit.scaleb(-3)


@given(st.integers(-(10**12), 10**12), st.integers(28, 31))
def test_the_days_of_a_month_add_up_to_its_charge(price: int, days: int) -> None:
    charge = Decimal(price).scaleb(-8)
    shares = [share_of_month(charge, day, days) for day in range(days)]
    assert total(shares) == charge
    assert max(shares) - min(shares) <= Decimal("0.00000001")


def test_amounts_are_rounded_once_and_by_their_currency() -> None:
    assert str(rounded(Decimal("2.345"), "EUR")) == "2.35"
    assert str(rounded(Decimal("-2.345"), "EUR")) == "-2.35"
    assert str(rounded(Decimal("2.5"), "JPY")) == "3"
    assert str(rounded(Decimal("2.3455"), "KWD")) == "2.346"


def test_days_of_a_rate_without_holidays_leave_holidays_out() -> None:
    peak = Rate(name="peak", price=Decimal(1), days=ALL_DAYS - {HOLIDAY}, begin=480, end=1200)
    calendar = RateCalendar([version(rates=(peak, BASE), holidays=frozenset({date(2026, 12, 25)}))], Direction.IMPORT)
    day = datetime(2026, 12, 24, 23, tzinfo=UTC)
    assert names(list(calendar.spans(day, day + timedelta(days=2)))) == [
        ("24 23:00", "base"),
        ("26 07:00", "peak"),
        ("26 19:00", "base"),
    ]
