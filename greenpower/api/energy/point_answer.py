"""How answers about meter points look: amounts, rows by bucket, and what they are compared with."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from typing import Any

import marshmallow as ma

from greenpower.api.energy.consumption_report import named_correction
from greenpower.api.energy.consumption_schema import NamedCorrectionSchema
from greenpower.api.energy.point_query import Asked
from greenpower.api.energy.shown_corrections import shown_corrections
from greenpower.api.http.blueprint import describe
from greenpower.api.http.visible_devices import is_visible
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.calendar import local_text
from greenpower.energy.compare import Comparison
from greenpower.energy.point import Point
from greenpower.energy.site import EnergySite
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument

EXAMPLE_LOCAL = "2026-03-29T00:00:00+01:00"


class AmountSchema(ma.Schema):
    """An amount of energy, and how good it is."""

    energy = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("energy; null: nothing is known", example=12.4)
    )
    coverage = ma.fields.Float(
        required=True,
        metadata=describe("0 to 1: the part, as far as it has passed, between registers; of several meters the lowest"),
    )
    silence_s = ma.fields.Integer(
        required=True, metadata=describe("seconds of silence whose energy is in it", example=0)
    )
    undecided = ma.fields.Boolean(
        required=True, metadata=describe("whether energy is left out until an operator decides an incident")
    )
    final = ma.fields.Boolean(
        required=True, metadata=describe("whether it has ended and no later sample is expected to change it")
    )
    estimated = ma.fields.Boolean(required=True, metadata=describe("whether a part of it is an estimate"))
    corrections = ma.fields.List(
        ma.fields.String(), required=True, metadata=describe("ids of the corrections that have changed it")
    )
    adjustment = ma.fields.Float(
        required=True,
        allow_none=True,
        metadata=describe("what is known now, less this; null: no figure of a closed month is in it"),
    )


class BucketHead(ma.Schema):
    """Which calendar bucket."""

    bucket = ma.fields.String(required=True, metadata=describe("name of the bucket, in local time"))
    start = ma.fields.String(required=True, metadata=describe("start, local time", example=EXAMPLE_LOCAL))
    end = ma.fields.String(required=True, metadata=describe("end, local time", example=EXAMPLE_LOCAL))


class PointHead(ma.Schema):
    """Which meter point."""

    point_id = ma.fields.Integer(required=True, metadata=describe("the meter point"))
    name = ma.fields.String(required=True, metadata=describe("its name", example="Grid connection"))
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("what it measures"))
    role = ma.fields.Enum(PointRole, by_value=True, required=True, metadata=describe("the part it plays in the site"))
    unit = ma.fields.String(required=True, metadata=describe("unit of its amounts", example="kWh"))
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("its service zone"))
    zone = ma.fields.String(required=True, allow_none=True, metadata=describe("name of its service zone"))


class CalendarHead(ma.Schema):
    """Which buckets an answer has."""

    bucket = ma.fields.String(required=True, metadata=describe("length of the buckets", example="day"))
    tz = ma.fields.String(required=True, metadata=describe("time zone", example="Europe/Berlin"))
    start = ma.fields.String(required=True, metadata=describe("start of the first bucket", example=EXAMPLE_LOCAL))
    end = ma.fields.String(required=True, metadata=describe("end of the last bucket", example=EXAMPLE_LOCAL))


class ComparisonSchema(ma.Schema):
    """The range that was compared with."""

    how = ma.fields.Enum(Comparison, by_value=True, required=True, metadata=describe("how it was chosen"))
    start = ma.fields.String(required=True, metadata=describe("its start, local time", example=EXAMPLE_LOCAL))
    end = ma.fields.String(required=True, metadata=describe("its end, local time", example=EXAMPLE_LOCAL))


class CorrectionsSchema(ma.Schema):
    """The corrections of an answer."""

    corrections = ma.fields.List(
        ma.fields.Nested(NamedCorrectionSchema),
        required=True,
        metadata=describe("the corrections that have changed any number of the answer"),
    )


def calendar_head(asked: Asked) -> Document:
    """Which buckets were asked for."""
    return {
        "bucket": asked.unit.value,
        "tz": asked.zone.key,
        "start": local_text(asked.boundaries[0], asked.zone),
        "end": local_text(asked.boundaries[-1], asked.zone),
    }


def comparison(asked: Asked) -> Document | None:
    """The range that was compared with; None where none was asked for."""
    if asked.before is None or asked.compare is None:
        return None
    ends = asked.before[0], asked.before[-1]
    return {
        "how": asked.compare.value,
        "start": local_text(ends[0], asked.zone),
        "end": local_text(ends[1], asked.zone),
    }


def point_head(point: Point, site: EnergySite) -> Document:
    """Which point."""
    return {
        "point_id": point.number,
        "name": point.name,
        "carrier": point.carrier.value,
        "role": point.role.value,
        "unit": point.carrier.unit,
        "zone_id": point.zone,
        "zone": None if point.zone is None else site.zone_names.get(point.zone),
    }


def amount_row(amount: Amount) -> Document:
    """An amount and how good it is."""
    return {
        "energy": amount.value,
        "coverage": amount.coverage,
        "silence_s": amount.silence_s,
        "undecided": amount.undecided,
        "final": amount.final,
        "estimated": amount.estimated,
        "corrections": shown_corrections(amount.corrections) if amount.corrections else [],
        "adjustment": amount.adjustment / UNIT if amount.closed else None,
    }


def bucket_rows(
    asked: Asked, rows: Iterable[Document], before: Sequence[float | str | None] | None = None
) -> list[Document]:
    """Rows with the names of their buckets. before: the value that each is compared with, as far as there are any."""
    found = []
    for number, (row, name) in enumerate(zip(rows, asked.names, strict=True)):
        named: dict[str, Any] = {**name, **row}
        if before is not None:
            named["compared"] = before[number] if number < len(before) else None
        found.append(named)
    return found


def change(value: float | Decimal | None, before: float | Decimal | None) -> float | None:
    """By how much a value changed, as a part of what it was; None where that says nothing."""
    if value is None or not before:
        return None
    return round((float(value) - float(before)) / abs(float(before)), 4)


def change_field(of: str = "") -> ma.fields.Float:
    """The field `change`, of what an answer compares."""
    return ma.fields.Float(
        allow_none=True, metadata=describe(f"change{of} as a part of that, 0.1 for 10 % more; only with `compare`")
    )


def corrections_of(several: Iterable[CorrectionDocument]) -> list[Document]:
    """The corrections of an answer."""
    return [named_correction(item) for item in several if is_visible(item["device_id"])]
