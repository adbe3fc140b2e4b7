"""How a report is asked for, and how it looks as JSON. What it says is in `greenpower.reports`."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma

from greenpower.api.energy.consumption_schema import known_time_zone
from greenpower.api.http.blueprint import describe
from greenpower.api.http.context import get_context
from greenpower.api.http.known import ZoneNumber
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.calendar import Unit
from greenpower.reports.form import MEDIA_TYPES, ReportForm
from greenpower.reports.period import REPORT_UNITS
from greenpower.reports.report import CostsOf

COMPARED = "; null: not known"


class ReportQuery(ma.Schema):
    """Which report, in which form. Loads `tz` as a ZoneInfo."""

    period = ma.fields.Enum(
        Unit,
        by_value=True,
        load_default=Unit.MONTH,
        validate=ma.validate.OneOf(REPORT_UNITS),
        metadata=describe("week or month", enum=[unit.value for unit in REPORT_UNITS]),
    )
    start = ma.fields.String(
        validate=ma.validate.Length(1, 10),
        metadata=describe(
            "which one: 2026-10, 2026-W44, or a day in it; default: the newest that has ended", example="2026-10"
        ),
    )
    zone_id = ZoneNumber("of this service zone and the zones in it; default: of the whole site")
    carrier = ma.fields.Enum(
        Carrier, by_value=True, load_default=Carrier.ELECTRICITY, metadata=describe("of this carrier")
    )
    tz = ma.fields.String(
        validate=known_time_zone,
        metadata=describe("time zone of the calendar, an IANA name; default: DEVICE_TIMEZONE", example="Asia/Dhaka"),
    )
    format = ma.fields.Enum(
        ReportForm, by_value=True, load_default=ReportForm.JSON, metadata=describe("form of the answer")
    )

    @ma.post_load
    def _load_zone(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        return {**data, "tz": ZoneInfo(data.get("tz") or get_context().settings.device_timezone)}


def _energy(what: str) -> ma.fields.Float:
    return ma.fields.Float(required=True, allow_none=True, metadata=describe(what + COMPARED, example=1234.5))


def _exact(what: str) -> ma.fields.String:
    return ma.fields.String(required=True, allow_none=True, metadata=describe(what + COMPARED, example="321.5"))


def _text(what: str, example: str = "") -> ma.fields.String:
    return ma.fields.String(required=True, metadata=describe(what, **({"example": example} if example else {})))


def _flag(what: str) -> ma.fields.Boolean:
    return ma.fields.Boolean(required=True, metadata=describe(what))


def _texts(what: str) -> ma.fields.List[Any]:
    return ma.fields.List(ma.fields.String(), required=True, metadata=describe(what))


class ReportValueSchema(ma.Schema):
    """An energy and what it is compared with."""

    value = _energy("energy of the period")
    previous = _energy("of the period before")
    year_ago = _energy("of the same month a year before, or of the week 52 weeks before")


class ReportPeakSchema(ma.Schema):
    """The highest average power over a quarter of an hour."""

    point = _text("the meter point", "Grid connection")
    power = ma.fields.Float(required=True, metadata=describe("power", example=84.2))
    unit = _text("its unit", "kW")
    start = _text("start of the quarter-hour, local time")
    previous = _energy("of the period before")
    final = _flag("whether no later sample is expected to change it")
    undecided = _flag("whether energy is left out until an operator decides an incident")


class ReportMoneySchema(ma.Schema):
    """A cost in a currency."""

    currency = _text("currency", "EUR")
    amount = _text("exact amount", "1234.567")
    rounded = _text("the same in whole minor units", "1234.57")
    previous = _exact("of the period before")
    year_ago = _exact("a year ago")
    adjustment = _exact("what is known now less this, where a closed figure is in it")


class ReportDaySchema(ma.Schema):
    """The consumption of a local day."""

    day = _text("the day", "2026-10-01")
    energy = _energy("consumption")
    final = _flag("whether no later sample is expected to change it")


class ReportZoneSchema(ma.Schema):
    """The consumption of a service zone."""

    name = _text("name of the zone", "Hall")
    energy = _energy("consumption")
    previous = _energy("of the period before")
    share = ma.fields.Float(required=True, allow_none=True, metadata=describe("of the whole report, 0 to 1"))


class ReportPointSchema(ma.Schema):
    """A meter point, and how good its energy is."""

    name = _text("its name", "Press 4")
    role = ma.fields.Enum(PointRole, by_value=True, required=True, metadata=describe("the part it plays in the site"))
    zone = _text("its service zone; empty: none")
    energy = _energy("energy")
    available = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("percent of the quarter-hours that have data", example=99.7)
    )
    silence_s = ma.fields.Integer(required=True, metadata=describe("seconds of silence whose energy is in it"))
    undecided = _flag("whether energy is left out until an operator decides an incident")
    estimated = _flag("whether a part of it is an estimate")
    final = _flag("whether no later sample is expected to change it")
    adjustment = _energy("what is known now less this, where a closed figure is in it")
    cost = ma.fields.String(required=True, allow_none=True, metadata=describe("rounded cost", example="12.30 EUR"))
    kg = _exact("kg of CO2")


class ReportHonestySchema(ma.Schema):
    """How good the figures are."""

    final = _flag("whether nothing is expected to change")
    available = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("percent of the quarter-hours of all points that have data")
    )
    silence_s = ma.fields.Integer(required=True, metadata=describe("seconds of silence whose energy is in figures"))
    undecided = _texts("points with an incident that an operator has to decide")
    estimated = _texts("points of whose energy a part is an estimate")
    corrections = ma.fields.Integer(required=True, metadata=describe("corrections that have changed figures"))
    adjustments = _texts("closed figures that differ from what is known now, and why")
    closed = _texts("closed months whose figures are told")
    left_out = _texts("what could not be told, and why")


class ReportSchema(ma.Schema):
    """A report."""

    title = _text("title", "Energy report 2026-10: whole site")
    unit_name = _text("week or month", "month")
    name = _text("name of the period", "2026-10")
    scope = _text("name of the service zone; empty: the whole site")
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("the carrier"))
    unit = _text("unit of energies", "kWh")
    tz = _text("time zone", "Europe/Berlin")
    start = _text("start, local time")
    end = _text("end, local time")
    made_at = _text("when it was made, local time")
    consumption = ma.fields.Nested(ReportValueSchema, required=True)
    unmetered = ma.fields.Nested(ReportValueSchema, required=True)
    roles = ma.fields.Dict(
        keys=ma.fields.Enum(PointRole, by_value=True),
        values=ma.fields.Float(allow_none=True),
        required=True,
        metadata=describe("energy of the topmost points of each role"),
    )
    solar_used = _energy("solar energy that was not sold")
    solar_share = ma.fields.Float(required=True, allow_none=True, metadata=describe("of the consumption, 0 to 1"))
    self_sufficiency = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("part of the consumption that the grid did not bring, 0 to 1")
    )
    peaks = ma.fields.List(ma.fields.Nested(ReportPeakSchema), required=True)
    costs_of = ma.fields.Enum(
        CostsOf,
        by_value=True,
        required=True,
        metadata=describe(
            "whose costs: the grid's, in which those of loads are, or where it has no meter, all points'"
        ),
    )
    costs = ma.fields.List(ma.fields.Nested(ReportMoneySchema), required=True)
    kg = _exact("kg of CO2")
    kg_previous = _exact("of the period before")
    kg_year_ago = _exact("a year ago")
    days = ma.fields.List(ma.fields.Nested(ReportDaySchema), required=True)
    zones = ma.fields.List(ma.fields.Nested(ReportZoneSchema), required=True)
    points = ma.fields.List(ma.fields.Nested(ReportPointSchema), required=True)
    honesty = ma.fields.Nested(ReportHonestySchema, required=True)


def report_responses() -> dict[str, Any]:
    """The forms of the answer, for the OpenAPI text."""
    files = {
        MEDIA_TYPES[form]: {"schema": {"type": "string", **({} if form is ReportForm.HTML else {"format": "binary"})}}
        for form in ReportForm
        if form is not ReportForm.JSON
    }
    schema = {"schema": {"$ref": "#/components/schemas/Report"}}
    return {"200": {"description": "the report", "content": {MEDIA_TYPES[ReportForm.JSON]: schema, **files}}}
