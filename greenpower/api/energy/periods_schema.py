"""The bodies and answers of `/api/energy/periods/`."""

from __future__ import annotations

import re
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TIME, FullMatch, WholeNumber, text_field, time_field
from greenpower.api.http.paging import PageQuery, PageSchema
from greenpower.energy.closing import AdjustmentReason
from greenpower.sql.closed_period import ClosedPeriod
from greenpower.sql.user import LARGEST_ID

MONTH = re.compile(r"^(19|20)[0-9]{2}-(0[1-9]|1[0-2])$")
EXAMPLE_PERIOD = {
    "id": 1,
    "month": "2026-03",
    "timezone": "Europe/Berlin",
    "zone_id": None,
    "scope": "",
    "reason": "bills are sent",
    "closed_at": EXAMPLE_TIME,
    "closed_by": "admin",
    "reopened_at": None,
    "reopened_by": None,
    "reopen_reason": None,
}


class NewPeriod(ma.Schema):
    """A month to be closed."""

    month = ma.fields.String(
        required=True,
        validate=FullMatch(MONTH, error="Give a month such as 2026-03."),
        metadata=describe("the month, by the site's clock (DEVICE_TIMEZONE)", example="2026-03"),
    )
    zone_id = WholeNumber(
        load_default=None,
        allow_none=True,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("close it for this service zone and the zones in it; null: for the site", example=1),
    )
    reason = text_field("why it is closed", 500, load_default="", example="bills are sent")


class Reopening(ma.Schema):
    """Why a month is opened again."""

    reason = text_field("why it is opened again", 500, 1, required=True, example="meter was wired wrongly")


class PeriodListQuery(PageQuery):
    """Which closed months."""

    month = ma.fields.String(
        validate=FullMatch(MONTH, error="Give a month such as 2026-03."),
        metadata=describe("only this month", example="2026-03"),
    )


class PeriodSchema(ma.Schema):
    """A closed month."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the closed month"))
    month = ma.fields.String(required=True, metadata=describe("the month", example="2026-03"))
    timezone = ma.fields.String(required=True, metadata=describe("by whose clock", example="Europe/Berlin"))
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("its service zone; null: the site"))
    scope = ma.fields.String(required=True, metadata=describe("name of the service zone then; empty: the site"))
    reason = ma.fields.String(required=True, metadata=describe("why it was closed"))
    closed_at = time_field("when it was closed, UTC")
    closed_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who closed it", example="admin"))
    reopened_at = time_field("when it was opened again, UTC; null: it is closed", null=True)
    reopened_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who opened it again"))
    reopen_reason = ma.fields.String(required=True, allow_none=True, metadata=describe("why it was opened again"))


class PeriodPage(PageSchema):
    """A page of closed months."""

    results = ma.fields.List(ma.fields.Nested(PeriodSchema), required=True)


class FigureSchema(ma.Schema):
    """What a meter point counted, cost and emitted in a month. Exact decimal numbers, as texts."""

    point_id = ma.fields.Integer(required=True, metadata=describe("the meter point"))
    name = ma.fields.String(required=True, metadata=describe("its name then", example="Grid connection"))
    unit = ma.fields.String(required=True, metadata=describe("unit of its energy", example="kWh"))
    energy = ma.fields.String(required=True, allow_none=True, metadata=describe("energy; null: nothing is known"))
    currency = ma.fields.String(required=True, allow_none=True, metadata=describe("null: it has no tariff"))
    amount = ma.fields.String(required=True, allow_none=True, metadata=describe("cost", example="3.1"))
    kg = ma.fields.String(required=True, allow_none=True, metadata=describe("kg of CO2; null: it has no factor"))


class AdjustmentSchema(ma.Schema):
    """How what is known now differs from a closed figure: the closed figure and the adjustment are what is known."""

    point_id = ma.fields.Integer(required=True, metadata=describe("the meter point"))
    name = ma.fields.String(required=True, metadata=describe("its name then", example="Grid connection"))
    energy = ma.fields.String(required=True, metadata=describe("more energy, or less", example="-1.25"))
    amount = ma.fields.String(
        required=True, allow_none=True, metadata=describe("more cost, or less; null: in another currency", example="0")
    )
    kg = ma.fields.String(required=True, metadata=describe("more CO2, or less", example="0"))
    reasons = ma.fields.List(
        ma.fields.Enum(AdjustmentReason, by_value=True), required=True, metadata=describe("why it differs")
    )
    corrections = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("ids of corrections that were made or revoked since")
    )
    versions = ma.fields.List(
        ma.fields.Integer(), required=True, metadata=describe("ids of versions of tariffs that differ")
    )


class PeriodFigures(PeriodSchema):
    """A closed month with its figures."""

    figures = ma.fields.List(ma.fields.Nested(FigureSchema), required=True)
    adjustments = ma.fields.List(ma.fields.Nested(AdjustmentSchema), required=True)


def present_period(period: ClosedPeriod) -> dict[str, Any]:
    """A closed month as the API shows it."""
    return {**{name: getattr(period, name) for name in EXAMPLE_PERIOD}, "month": f"{period.month:%Y-%m}"}
