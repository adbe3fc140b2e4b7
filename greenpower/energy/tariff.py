"""A tariff: what energy costs, from which day on. Money is decimal, never float.

What belongs here: what a tariff says, and whether it can be used. What does not: which rate holds when
(`rate_calendar`), what is to be paid (`cost`).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum
from itertools import pairwise
from zoneinfo import ZoneInfo

MINUTES_PER_DAY = 24 * 60
QUARTER_MINUTES = 15
#: more decimals than any price list has; sums over them stay exact
MAX_PRICE_DECIMALS = 8
MAX_PRICE = Decimal(10) ** 9
DEMAND_MINUTES = (15, 30)
CURRENCY = re.compile(r"[A-Z]{3}")
#: the number that a holiday has among the days of the week, 0 (Monday) to 6
HOLIDAY = 7
ALL_DAYS = frozenset(range(HOLIDAY + 1))
ALL_MONTHS = frozenset(range(1, 13))


class TariffError(ValueError):
    """A tariff cannot be used as it is given. The text says why."""


class Direction(StrEnum):
    """Which way the energy goes: bought from the supplier, or sold to it."""

    IMPORT = "import"
    EXPORT = "export"


class ChargePeriod(StrEnum):
    """What a standing charge is for."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """A price per unit of energy, and when it holds, on the wall clock of the tariff's zone.

    days: of the week, 0 for Monday; 7 for holidays, which have no other number. months: 1 to 12. begin, end: minutes
    since local midnight, on quarter-hours; an end before the begin is one of the next day, whose own day does not
    count. Raises TariffError.
    """

    name: str
    price: Decimal
    direction: Direction = Direction.IMPORT
    days: frozenset[int] = ALL_DAYS
    months: frozenset[int] = ALL_MONTHS
    begin: int = 0
    end: int = MINUTES_PER_DAY

    def __post_init__(self) -> None:
        if not self.name:
            raise TariffError("a rate has no name")
        check_price(self.price, f"rate {self.name!r}")
        if not self.days or not self.days <= ALL_DAYS:
            raise TariffError(f"rate {self.name!r}: days are 0 (Monday) to 6 and {HOLIDAY} (holidays)")
        if not self.months or not self.months <= ALL_MONTHS:
            raise TariffError(f"rate {self.name!r}: months are 1 to 12")
        for minute, last in ((self.begin, MINUTES_PER_DAY - QUARTER_MINUTES), (self.end, MINUTES_PER_DAY)):
            if not 0 <= minute <= last or minute % QUARTER_MINUTES:
                raise TariffError(f"rate {self.name!r}: it must begin and end on a quarter-hour of the day")
        if self.begin == self.end:
            raise TariffError(f"rate {self.name!r}: it begins and ends at the same time")

    def holds(self, day: int, day_before: int, month: int, month_before: int, minute: int) -> bool:
        """Whether it holds at a minute of a local day. day, day_before: numbers of the days, as in `days`."""
        if self.begin < self.end:
            return self.begin <= minute < self.end and day in self.days and month in self.months
        if minute >= self.begin:
            return day in self.days and month in self.months
        return minute < self.end and day_before in self.days and month_before in self.months

    @property
    def is_always(self) -> bool:
        """Whether it holds at any time."""
        return (self.begin, self.end) == (0, MINUTES_PER_DAY) and self.days == ALL_DAYS and self.months == ALL_MONTHS


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingCharge:
    """What is to be paid for a day or a month, whatever is used. Raises TariffError."""

    name: str
    price: Decimal
    per: ChargePeriod

    def __post_init__(self) -> None:
        check_price(self.price, f"standing charge {self.name!r}")


@dataclass(frozen=True, slots=True, kw_only=True)
class DemandCharge:
    """What is to be paid for each kW of the highest average over so many minutes in a calendar month.

    minutes: 15 or 30. free: kW that are free of it. Raises TariffError.
    """

    name: str
    price: Decimal
    minutes: int = 15
    free: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        check_price(self.price, f"demand charge {self.name!r}")
        check_price(self.free, f"demand charge {self.name!r}")
        if self.minutes not in DEMAND_MINUTES:
            raise TariffError(f"demand charge {self.name!r}: it is for 15 or 30 minutes, not {self.minutes}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TariffVersion:
    """What a tariff says from a local day on, until the next version begins.

    number: tells it from all other versions. zone: of the wall clock. rates: of those that hold, the first counts; the
    last one of each direction holds at any time. holidays: local days. Raises TariffError.
    """

    number: int
    valid_from: date
    currency: str
    zone: ZoneInfo
    rates: tuple[Rate, ...]
    standing: tuple[StandingCharge, ...] = ()
    demand: DemandCharge | None = None
    holidays: frozenset[date] = frozenset()

    def __post_init__(self) -> None:
        if not CURRENCY.fullmatch(self.currency):
            raise TariffError(f"currency {self.currency!r} is not three capital letters, such as EUR")
        for direction in Direction:
            rates = self.rates_of(direction)
            if direction is Direction.IMPORT and not rates:
                raise TariffError("there is no rate for import")
            if rates and not rates[-1].is_always:
                raise TariffError(f"the last rate for {direction} must hold at any time: {rates[-1].name!r} does not")
        names = [rate.name for rate in self.rates] + [charge.name for charge in self.standing]
        if self.demand is not None:
            names.append(self.demand.name)
        if twice := sorted({name for name in names if names.count(name) > 1}):
            raise TariffError(f"two parts have the name {', '.join(twice)}")

    def rates_of(self, direction: Direction) -> tuple[Rate, ...]:
        """The rates of one direction, in order."""
        return tuple(rate for rate in self.rates if rate.direction is direction)


def check_price(price: Decimal, what: str) -> None:
    """Raise TariffError for a price that no sum can be made with. A price may be negative: markets have such hours."""
    if not price.is_finite() or abs(price) > MAX_PRICE:
        raise TariffError(f"{what}: {price} is not a price")
    exponent = price.normalize().as_tuple().exponent
    assert isinstance(exponent, int)
    if -exponent > MAX_PRICE_DECIMALS:
        raise TariffError(f"{what}: {price} has more than {MAX_PRICE_DECIMALS} decimals")


def ordered(versions: Sequence[TariffVersion]) -> list[TariffVersion]:
    """Versions by the day from which they are valid. Raises TariffError where two begin on one day."""
    found = sorted(versions, key=lambda version: version.valid_from)
    for earlier, later in pairwise(found):
        if earlier.valid_from == later.valid_from:
            raise TariffError(f"two versions are valid from {earlier.valid_from}")
    return found
