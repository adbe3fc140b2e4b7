"""What a version of a tariff says, as JSON: as the API takes it and SQL keeps it. Decimal numbers are texts.

    {"rates": [{"name", "price", "direction", "days", "months", "begin", "end"}, …],
     "standing": [{"name", "price", "per"}, …], "demand": {"name", "price", "minutes", "free"} or null,
     "holidays": ["2026-12-25", …]}

`begin` and `end` are times of the day, `06:00`; `24:00` ends a day. What belongs here: both ways. What does not:
whether a tariff can be used (`tariff`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from greenpower.energy.tariff import (
    ALL_DAYS,
    ALL_MONTHS,
    ChargePeriod,
    DemandCharge,
    Direction,
    Rate,
    StandingCharge,
    TariffError,
    TariffVersion,
)

TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-4]):([0-5][0-9])")
DECIMAL = re.compile(r"-?[0-9]{1,12}(\.[0-9]{1,12})?")


def read_version(
    content: Mapping[str, Any], *, number: int, valid_from: date, currency: str, timezone: str
) -> TariffVersion:
    """A version from its content. Raises TariffError."""
    demand = content.get("demand")
    return TariffVersion(
        number=number,
        valid_from=valid_from,
        currency=currency,
        zone=ZoneInfo(timezone),
        rates=tuple(map(_rate, content["rates"])),
        standing=tuple(
            StandingCharge(name=item["name"], price=decimal(item["price"]), per=ChargePeriod(item["per"]))
            for item in content.get("standing", ())
        ),
        demand=None
        if demand is None
        else DemandCharge(
            name=demand["name"],
            price=decimal(demand["price"]),
            minutes=demand.get("minutes", 15),
            free=decimal(demand.get("free", "0")),
        ),
        holidays=frozenset(map(date.fromisoformat, content.get("holidays", ()))),
    )


def write_version(version: TariffVersion) -> dict[str, Any]:
    """The content of a version; `read_version` gives the same version back."""
    demand = version.demand
    return {
        "rates": [
            {
                "name": rate.name,
                "price": _text(rate.price),
                "direction": rate.direction.value,
                "days": sorted(rate.days),
                "months": sorted(rate.months),
                "begin": _time(rate.begin),
                "end": _time(rate.end),
            }
            for rate in version.rates
        ],
        "standing": [
            {"name": charge.name, "price": _text(charge.price), "per": charge.per.value} for charge in version.standing
        ],
        "demand": None
        if demand is None
        else {
            "name": demand.name,
            "price": _text(demand.price),
            "minutes": demand.minutes,
            "free": _text(demand.free),
        },
        "holidays": sorted(day.isoformat() for day in version.holidays),
    }


def decimal(text: str) -> Decimal:
    """A decimal number from a text. Raises TariffError for other texts."""
    if not DECIMAL.fullmatch(text):
        raise TariffError(f"{text!r} is not a decimal number such as 0.25")
    try:
        return Decimal(text)
    except InvalidOperation as error:
        raise TariffError(f"{text!r} is not a decimal number") from error


def _rate(item: Mapping[str, Any]) -> Rate:
    return Rate(
        name=item["name"],
        price=decimal(item["price"]),
        direction=Direction(item.get("direction", Direction.IMPORT)),
        days=frozenset(item.get("days", ALL_DAYS)),
        months=frozenset(item.get("months", ALL_MONTHS)),
        begin=_minutes(item.get("begin", "00:00")),
        end=_minutes(item.get("end", "24:00")),
    )


def _minutes(text: str) -> int:
    """Minutes since midnight."""
    found = TIME_OF_DAY.fullmatch(text)
    if found is None or (found[1] == "24" and found[2] != "00"):
        raise TariffError(f"{text!r} is not a time of the day such as 06:30")
    return int(found[1]) * 60 + int(found[2])


def _time(minutes: int) -> str:
    return f"{minutes // 60:02}:{minutes % 60:02}"


def _text(number: Decimal) -> str:
    return f"{number:f}"
