"""The bodies and answers of `/api/energy/tariffs/`. Prices are texts: money is decimal."""

from __future__ import annotations

from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import (
    EXAMPLE_TIME,
    FullMatch,
    WholeNumber,
    text_field,
    time_field,
    time_zone_problem,
    valid_from_field,
)
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.datatype.carrier import Carrier
from greenpower.energy.tariff import ALL_DAYS, ALL_MONTHS, DEMAND_MINUTES, ChargePeriod, Direction

MAX_RATES = 50
MAX_STANDING_CHARGES = 20
MAX_HOLIDAYS = 1_000
PRICE = r"^-?[0-9]{1,9}(\.[0-9]{1,8})?$"
TIME_OF_DAY = r"^(([01][0-9]|2[0-3]):(00|15|30|45)|24:00)$"
EXAMPLE_RATES = [
    {"name": "night", "price": "0.18", "direction": "import", "days": [0, 1, 2, 3, 4], "months": [*range(1, 13)],
     "begin": "22:00", "end": "06:00"},
    {"name": "day", "price": "0.31", "direction": "import", "days": [*range(8)], "months": [*range(1, 13)],
     "begin": "00:00", "end": "24:00"},
]  # fmt: skip
EXAMPLE_CONTENT: dict[str, Any] = {
    "rates": EXAMPLE_RATES,
    "standing": [{"name": "meter", "price": "9.90", "per": "month"}],
    "demand": {"name": "demand", "price": "12.50", "minutes": 15, "free": "0"},
    "holidays": ["2026-12-25"],
}
EXAMPLE_VERSION = {
    "id": 1,
    "valid_from": "2026-01-01",
    **EXAMPLE_CONTENT,
    "created_at": EXAMPLE_TIME,
    "created_by": "admin",
    "replaced_at": None,
}
EXAMPLE_TARIFF = {
    "id": 1,
    "name": "Business 2026",
    "carrier": Carrier.ELECTRICITY.value,
    "currency": "EUR",
    "timezone": "Europe/Berlin",
    "is_default": True,
    "versions": [EXAMPLE_VERSION],
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


def is_demand_minutes(value: int) -> None:
    """Refuse a length of intervals that nobody averages power over."""
    if value not in DEMAND_MINUTES:
        raise ma.ValidationError(f"{value} is not 15 or 30.")


def _price(what: str, **options: Any) -> ma.fields.String:
    return ma.fields.String(
        validate=FullMatch(PRICE, error="Give a decimal number as text, such as 0.25."),
        metadata=describe(f"{what}; a decimal number as text", example="0.25"),
        **options,
    )


def _numbers(what: str, allowed: frozenset[int]) -> ma.fields.List[Any]:
    return ma.fields.List(
        WholeNumber(validate=ma.validate.Range(min(allowed), max(allowed))),
        load_default=sorted(allowed),
        validate=ma.validate.Length(1, 2 * len(allowed)),
        metadata=describe(what),
    )


def _time_of_day(what: str, default: str) -> ma.fields.String:
    return ma.fields.String(
        load_default=default,
        validate=FullMatch(TIME_OF_DAY, error="Give a quarter-hour of the day, such as 06:15."),
        metadata=describe(what, example=default),
    )


class TariffRate(ma.Schema):
    """A price of energy, and when it holds."""

    name = text_field("name of the rate, unique in its version", 60, 1, example="night", required=True)
    price = _price("price per unit of energy", required=True)
    direction = ma.fields.Enum(
        Direction,
        by_value=True,
        load_default=Direction.IMPORT,
        metadata=describe("whether energy is bought or sold at this price"),
    )
    days = _numbers("days of the week, 0 for Monday to 6; 7: holidays, which have no other number", ALL_DAYS)
    months = _numbers("months, 1 to 12", ALL_MONTHS)
    begin = _time_of_day("from this local time of the day", "00:00")
    end = _time_of_day("until this one; earlier than `begin`: of the next day", "24:00")


class TariffStandingCharge(ma.Schema):
    """A charge for each day or month."""

    name = text_field("name of the charge, unique in its version", 60, 1, example="meter", required=True)
    price = _price("charge for each period", required=True)
    per = ma.fields.Enum(ChargePeriod, by_value=True, required=True, metadata=describe("the period"))


class TariffDemandCharge(ma.Schema):
    """A charge for each kW of the highest average power in a month."""

    name = text_field("name of the charge, unique in its version", 60, 1, example="demand", required=True)
    price = _price("charge for each kW", required=True)
    minutes = WholeNumber(
        load_default=DEMAND_MINUTES[0],
        validate=(ma.validate.Range(*DEMAND_MINUTES), is_demand_minutes),
        metadata=describe("length of the intervals over which power is averaged: 15 or 30"),
    )
    free = _price("kW that are free of it", load_default="0")


class NewTariffVersion(ma.Schema):
    """What a tariff says from a day on."""

    valid_from = valid_from_field()
    rates = ma.fields.List(
        ma.fields.Nested(TariffRate),
        required=True,
        validate=ma.validate.Length(1, MAX_RATES),
        metadata=describe("of those that hold at a time, the first counts; the last of each direction holds always"),
    )
    standing = ma.fields.List(
        ma.fields.Nested(TariffStandingCharge),
        load_default=(),
        validate=ma.validate.Length(max=MAX_STANDING_CHARGES),
        metadata=describe("charges for days and months"),
    )
    demand = ma.fields.Nested(TariffDemandCharge, load_default=None, allow_none=True)
    holidays = ma.fields.List(
        ma.fields.Date(),
        load_default=(),
        validate=ma.validate.Length(max=MAX_HOLIDAYS),
        metadata=describe("local days that count as holidays", example=["2026-12-25"]),
    )


class TariffVersionSchema(ma.Schema):
    """A version of a tariff. It never changes."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the version"))
    valid_from = ma.fields.Date(required=True, metadata=describe("local day from which it is valid"))
    rates = ma.fields.List(ma.fields.Nested(TariffRate), required=True)
    standing = ma.fields.List(ma.fields.Nested(TariffStandingCharge), required=True)
    demand = ma.fields.Nested(TariffDemandCharge, required=True, allow_none=True)
    holidays = ma.fields.List(ma.fields.Date(), required=True, metadata=describe("days that count as holidays"))
    created_at = time_field("when it was made, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))
    replaced_at = time_field("when another version took its place, UTC; null: it is in force", null=True)


class TariffSchema(ma.Schema):
    """A tariff."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the tariff"))
    name = ma.fields.String(required=True, metadata=describe("name of the tariff"))
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("what it is for"))
    currency = ma.fields.String(required=True, metadata=describe("currency, ISO 4217", example="EUR"))
    timezone = ma.fields.String(required=True, metadata=describe("zone of its wall clock", example="Europe/Berlin"))
    is_default = ma.fields.Boolean(
        required=True, metadata=describe("whether it is that of points of its carrier without another")
    )
    versions = ma.fields.List(ma.fields.Nested(TariffVersionSchema), required=True)
    created_at = time_field("when it was made, UTC")
    updated_at = time_field("when it was last changed, UTC")


class TariffPage(PageSchema):
    """A page of tariffs."""

    results = ma.fields.List(ma.fields.Nested(TariffSchema), required=True)


class TariffListQuery(PageQuery):
    """Which tariffs."""

    carrier = ma.fields.Enum(Carrier, by_value=True, metadata=describe("only tariffs of this carrier"))


def _known_zone(name: str) -> None:
    if problem := time_zone_problem(name):
        raise ma.ValidationError(problem)


class TariffChange(ma.Schema):
    """Changes to a tariff. Prices are changed by a new version."""

    name = text_field("name of the tariff, unique", 120, 1, example="Business 2026")
    is_default = ma.fields.Boolean(
        metadata=describe("whether it is that of points of its carrier without another; the one before is none then")
    )


class NewTariff(NewTariffVersion):
    """A new tariff with its first version."""

    name = text_field("name of the tariff, unique", 120, 1, example="Business 2026", required=True)
    carrier = ma.fields.Enum(
        Carrier, by_value=True, load_default=Carrier.ELECTRICITY, metadata=describe("what it is for")
    )
    currency = ma.fields.String(
        required=True,
        validate=FullMatch(r"^[A-Z]{3}$", error="Give a currency of ISO 4217, such as EUR."),
        metadata=describe("currency, ISO 4217", example="EUR"),
    )
    timezone = ma.fields.String(
        validate=_known_zone,
        metadata=describe("zone of its wall clock; default: DEVICE_TIMEZONE", example="Europe/Berlin"),
    )
    is_default = ma.fields.Boolean(
        load_default=False, metadata=describe("whether it is that of points of its carrier without another")
    )
