"""Divisors: means over time, reasons, and what sums of quotients are not."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from zoneinfo import ZoneInfo

import pytest

from greenpower.energy.divisor import DivisorValue, NoQuotient, constant_value, quotient

BERLIN, KATHMANDU = ZoneInfo("Europe/Berlin"), ZoneInfo("Asia/Kathmandu")
AREA = [(date(2026, 1, 1), Decimal(1000)), (date(2026, 3, 29), Decimal("1250.5"))]


def worth(value: int | None, *, final: bool = True) -> DivisorValue:
    return DivisorValue(value=None if value is None else Fraction(value), final=final, coverage=0.5)


@pytest.mark.parametrize("zone", [BERLIN, KATHMANDU], ids=str)
@pytest.mark.parametrize("days", [1, 2, 31, 200])
def test_a_constant_is_its_mean_over_time(zone: ZoneInfo, days: int) -> None:
    """Minute by minute, over the change of the clocks in Berlin on the very day."""
    begin = datetime(2026, 3, 28, tzinfo=zone).astimezone(UTC)
    end = datetime.combine(date(2026, 3, 28) + timedelta(days=days), datetime.min.time(), zone).astimezone(UTC)
    quarters = [begin + place * timedelta(minutes=15) for place in range((end - begin) // timedelta(minutes=15))]
    plain = [Decimal(1000) if at.astimezone(zone).date() < AREA[1][0] else Decimal("1250.5") for at in quarters]
    found = constant_value(AREA, begin, end, zone)
    assert found.value == Fraction(sum(plain)) / len(plain)
    assert found.final and found.coverage == 1


def test_before_its_first_value_a_constant_is_not_known() -> None:
    begin = datetime(2025, 12, 31, 22, tzinfo=UTC)
    assert constant_value(AREA, begin, begin + timedelta(days=2), BERLIN).value is None
    assert constant_value(AREA, begin + timedelta(hours=1), begin + timedelta(days=2), BERLIN).value == 1000
    assert constant_value([], begin, begin + timedelta(days=2), BERLIN).value is None


def test_why_there_is_no_quotient() -> None:
    for amount, by, reason in (
        (None, worth(None), NoQuotient.NO_AMOUNT),
        (Decimal(5), worth(None, final=False), NoQuotient.MISSING),
        (Decimal(5), worth(0, final=False), NoQuotient.NOT_FINAL),
        (Decimal(5), worth(0), NoQuotient.ZERO),
    ):
        found = quotient(amount, by, final=True, coverage=0.9)
        assert (found.value, found.reason) == (None, reason)
        assert (found.final, found.coverage) == (by.final, 0.5)
    found = quotient(Decimal("7.5"), worth(3), final=False, coverage=0.25)
    assert (found.value, found.reason, found.final, found.coverage) == (Fraction(5, 2), None, False, 0.25)


def test_the_quotient_of_sums_is_not_the_sum_of_quotients() -> None:
    days = [(Decimal(300), 100), (Decimal(200), 400)]
    each = [quotient(energy, worth(pieces), final=True, coverage=1).value for energy, pieces in days]
    whole = quotient(Decimal(500), worth(500), final=True, coverage=1).value
    assert each == [3, Fraction(1, 2)]
    assert whole == 1
