"""`/api/energy/consumption/flat/` and `cost/flat/`: meter points in the flat form, one bucket of a point per row.

What belongs here: rows for spreadsheets and Grafana. What does not: the numbers (`point_consumption`, `cost`), the two
formats (`greenpower.api.http.flat_form`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import marshmallow as ma
from flask import Response

from greenpower.api.energy.cost import find_cost
from greenpower.api.energy.point_answer import EXAMPLE_LOCAL
from greenpower.api.energy.point_consumption import find_point_consumption
from greenpower.api.energy.point_query import FiguresChoice, PointQuery
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.flat_form import CSV_TYPE, FlatQuery, FlatValue, columns_field, flat_answer
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

POINT_COLUMNS = ("timestamp", "point_id", "name", "value")
# Of a row and of its energy, beside the value.
QUALITY = ("coverage", "undecided", "final", "estimated")
OF_POINT = ("carrier", "role", "zone")
ENERGY_COLUMNS = ("unit", "bucket", *OF_POINT, *QUALITY, "adjustment")
COST_COLUMNS = ("currency", "amount", "rounded", "energy", "unit", "bucket", *OF_POINT, *QUALITY, "adjustment")
DESCRIPTION = f"""One bucket of a meter point per row: timestamp, point_id, name, value; `columns` adds further ones. As
JSON, or as CSV with `format=csv` or `Accept: {CSV_TYPE}`. The timestamp is the start of the bucket, in local time with
its offset."""


class FlatPointRow(ma.Schema):
    """A value of a meter point in a bucket."""

    timestamp = ma.fields.DateTime(
        required=True, metadata=describe("start of the bucket, local time with its offset", example=EXAMPLE_LOCAL)
    )
    point_id = ma.fields.Integer(required=True, metadata=describe("the meter point"))
    name = ma.fields.String(required=True, metadata=describe("its name", example="Grid connection"))
    value = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("energy or cost; null: nothing is known", example=12.4)
    )
    unit = ma.fields.String(metadata=describe("unit of its energy", example="kWh"))
    currency = ma.fields.String(metadata=describe("currency", example="EUR"))
    amount = ma.fields.String(metadata=describe("exact amount", example="3.1"))
    rounded = ma.fields.String(metadata=describe("the same in whole minor units", example="3.10"))
    energy = ma.fields.Float(allow_none=True, metadata=describe("the energy that it is the cost of", example=12.4))
    bucket = ma.fields.String(metadata=describe("name of the calendar bucket, in local time", example="2026-03-29"))
    carrier = ma.fields.String(metadata=describe("what it measures", example="electricity"))
    role = ma.fields.String(metadata=describe("the part it plays in the site", example="load"))
    zone = ma.fields.String(allow_none=True, metadata=describe("name of its service zone", example="Halls"))
    coverage = ma.fields.Float(metadata=describe("0 to 1: the part of the bucket between registers", example=1))
    undecided = ma.fields.Boolean(metadata=describe("whether energy is left out until an operator decides an incident"))
    final = ma.fields.Boolean(metadata=describe("whether no later sample is expected to change it"))
    estimated = ma.fields.Boolean(metadata=describe("whether a part of it is an estimate"))
    adjustment = ma.fields.Raw(
        allow_none=True, metadata=describe("what is known now, less the value; null: no closed figure is in it")
    )


class FlatPointSeries(ma.Schema):
    """Values of meter points, one per row."""

    next = ma.fields.Url(required=True, allow_none=True, metadata=describe("always null: these are all"))
    results = ma.fields.List(ma.fields.Nested(FlatPointRow), required=True)


class FlatPointQuery(FlatQuery, PointQuery, FiguresChoice):
    """Energy of which meter points, in which buckets."""

    columns = columns_field(ENERGY_COLUMNS)


class FlatCostQuery(FlatPointQuery):
    """Cost of which meter points, in which buckets."""

    columns = columns_field(COST_COLUMNS)


RESPONSES: dict[str, Any] = {
    "200": {
        "description": "the values",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/FlatPointSeries"}},
            CSV_TYPE: {"schema": {"type": "string"}, "example": ",".join(POINT_COLUMNS) + "\r\n"},
        },
    }
}


def add_flat_points(blueprint: Blueprint) -> None:
    """Add the routes."""

    @blueprint.route("/consumption/flat/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary="Energy of meter points, one bucket per row",
        description=f"{DESCRIPTION} The energies of `consumption/`.",
        responses=RESPONSES,
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(FlatPointQuery)
    @blueprint.response(200, FlatPointSeries)
    def flat_energies(query: dict[str, Any]) -> Response:
        return flat_answer(query, _energies(find_point_consumption(query)), leading=POINT_COLUMNS)

    @blueprint.route("/cost/flat/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(
        summary="Cost of meter points, one bucket per row",
        description=f"{DESCRIPTION} The amounts of `cost/`, exact in `amount`. Points without a tariff have no row.",
        responses=RESPONSES,
    )
    @blueprint.errors(422, 503)
    @blueprint.arguments(FlatCostQuery)
    @blueprint.response(200, FlatPointSeries)
    def flat_costs(query: dict[str, Any]) -> Response:
        return flat_answer(query, _costs(find_cost(query)), leading=POINT_COLUMNS)


def _rows(found: Document) -> Iterator[tuple[Document, Document]]:
    """Point and bucket: ordered by bucket, then as the answer orders points."""
    points = found["points"]
    for number in range(len(points[0]["results"]) if points else 0):
        for point in points:
            yield point, point["results"][number]


def _energies(found: Document) -> Iterator[FlatValue]:
    for point, row in _rows(found):
        yield {
            **_head(point, row),
            "value": row["energy"],
            **{name: row[name] for name in (*QUALITY, "adjustment")},
        }


def _costs(found: Document) -> Iterator[FlatValue]:
    for point, row in _rows(found):
        energy = row["energy"]
        yield {
            **_head(point, row),
            "currency": point["currency"],
            "value": float(row["amount"]),
            "energy": energy["energy"],
            **{name: row[name] for name in ("amount", "rounded", "adjustment")},
            **{name: energy[name] for name in QUALITY},
        }


def _head(point: Document, row: Document) -> FlatValue:
    return {
        "timestamp": row["start"],
        "bucket": row["bucket"],
        **{name: point[name] for name in ("point_id", "name", "unit", *OF_POINT)},
    }
