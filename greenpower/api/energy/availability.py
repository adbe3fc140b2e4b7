"""`/api/energy/availability/`: of how much of the time meter points have data, and why the rest is missing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import marshmallow as ma
import pymongo
from flask import Response, current_app

from greenpower.api.energy.consumption_cost import check_documents
from greenpower.api.energy.moved_boundaries import nearest_quarter
from greenpower.api.energy.point_answer import BucketHead, CalendarHead, PointHead, calendar_head, point_head
from greenpower.api.energy.point_query import POINTS_SECONDS, Asked, PointQuery, ask, open_reader
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.csv_text import csv_lines
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_TYPE
from greenpower.api.http.flat_form import CSV_FORMAT, CSV_TYPE, JSON_FORMAT, wants_csv
from greenpower.api.http.json import answer
from greenpower.api.http.turns import turn
from greenpower.api.http.visible_devices import shown_device
from greenpower.energy.availability import Availability, MissingReason
from greenpower.energy.availability_reader import PointAvailability, read_availability, reader_range, total
from greenpower.energy.calendar import Unit
from greenpower.mongo.client import Document
from greenpower.sql import RoleName

DESCRIPTION = """Of the quarter-hours that have passed, how many have data, and why the others have none. Where a meter
is read each half-hour or each hour, nothing is missing between two readings. Of a point with several counters a
quarter-hour has data where all of them have. `format=csv` gives a row for each point and bucket."""
CSV_COLUMNS = ("bucket", "start", "end", "point_id", "name", "zone", "expected", "available", "percent")
CSV_HEADINGS = (*CSV_COLUMNS, *(reason.value for reason in MissingReason))


class AvailabilityQuery(PointQuery):
    """Which meter points, in which buckets."""

    bucket = ma.fields.Enum(
        Unit, by_value=True, load_default=Unit.MONTH, metadata=describe("length of the calendar buckets")
    )
    format = ma.fields.String(
        validate=ma.validate.OneOf((JSON_FORMAT, CSV_FORMAT)),
        metadata=describe(f"format of the answer; default: {JSON_FORMAT}, unless the header Accept prefers {CSV_TYPE}"),
    )


class AvailabilitySchema(ma.Schema):
    """Of how many quarter-hours there is data."""

    expected = ma.fields.Integer(required=True, metadata=describe("quarter-hours that have passed", example=2976))
    available = ma.fields.Integer(required=True, metadata=describe("those with data", example=2940))
    percent = ma.fields.Float(
        required=True,
        allow_none=True,
        metadata=describe("available of expected; null: none expected", example=98.79),
    )
    missing = ma.fields.Dict(
        keys=ma.fields.Enum(MissingReason, by_value=True),
        values=ma.fields.Integer(),
        required=True,
        metadata=describe("the others, by reason", example={"silence": 36}),
    )


class AvailabilityBucket(BucketHead, AvailabilitySchema):
    """The availability of a bucket."""


class PartAvailabilitySchema(AvailabilitySchema):
    """The availability of a counter, for the time for which it is a part of the point."""

    type = ma.fields.String(required=True, metadata=describe("data type", example=EXAMPLE_TYPE))
    device_id = ma.fields.String(
        required=True,
        allow_none=True,
        metadata=describe("the device; null: one that you may not see", example=EXAMPLE_DEVICE_ID),
    )
    field = ma.fields.String(required=True, metadata=describe("its counter", example="energy"))
    results = ma.fields.List(ma.fields.Nested(AvailabilityBucket), required=True)


class PointAvailabilitySchema(PointHead):
    """The availability of a point."""

    total = ma.fields.Nested(AvailabilitySchema, required=True)
    results = ma.fields.List(ma.fields.Nested(AvailabilityBucket), required=True)
    parts = ma.fields.List(ma.fields.Nested(PartAvailabilitySchema), required=True)


class AvailabilityAnswer(CalendarHead):
    """The availability of points."""

    points = ma.fields.List(ma.fields.Nested(PointAvailabilitySchema), required=True)


RESPONSES: dict[str, Any] = {
    "200": {
        "description": "the availability",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/AvailabilityAnswer"}},
            CSV_TYPE: {"schema": {"type": "string"}, "example": ",".join(CSV_HEADINGS) + "\r\n"},
        },
    }
}


def add_availability(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/availability/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="Data availability of meter points", description=DESCRIPTION, responses=RESPONSES)
    @blueprint.errors(422, 503)
    @blueprint.arguments(AvailabilityQuery)
    @blueprint.response(200, AvailabilityAnswer)
    def availability(query: dict[str, Any]) -> Response:
        asked = ask(query)
        found = find_availability(asked)
        if wants_csv(query):
            response = Response(csv_lines([CSV_HEADINGS, *_csv_rows(asked, found)]), mimetype=CSV_TYPE)
        else:
            response = answer({**calendar_head(asked), "points": [_point(asked, one) for one in found]})
        response.headers.add("Vary", "Accept")
        return response


def find_availability(asked: Asked) -> list[PointAvailability]:
    """The availability of the points of a question. Aborts with 422 for what costs too much. Raises PyMongoError."""
    boundaries = [nearest_quarter(boundary) for boundary in asked.boundaries]
    ends = reader_range(boundaries)
    until = min(ends[1], max(ends[0], asked.now))
    # All days are read, one document for each counter.
    days = 1 + (until - ends[0]).days
    check_documents(days * sum(len(point.parts) for point in asked.points), max(1, len(asked.points)))
    reader, cost = open_reader(asked, asked.points, ends)
    with turn(current_app, cost + days * len(asked.points)), pymongo.timeout(POINTS_SECONDS):
        return read_availability(reader, boundaries)


def _point(asked: Asked, found: PointAvailability) -> Document:
    return {
        **point_head(found.point, asked.site),
        **_rows(asked, found.buckets),
        "parts": [
            {"type": part.type, "device_id": shown_device(part.device_id), "field": part.field}
            | _row(total(buckets))
            | {"results": _rows(asked, buckets)["results"]}
            for part, buckets in found.parts
        ],
    }


def _rows(asked: Asked, buckets: Sequence[Availability]) -> Document:
    return {
        "total": _row(total(buckets)),
        "results": [{**name, **_row(bucket)} for name, bucket in zip(asked.names, buckets, strict=True)],
    }


def _row(found: Availability) -> Document:
    return {
        "expected": found.expected,
        "available": found.available,
        "percent": found.percent,
        "missing": {reason.value: found.missing[reason] for reason in MissingReason if found.missing[reason]},
    }


def _csv_rows(asked: Asked, several: Iterable[PointAvailability]) -> Iterator[list[Any]]:
    for one in several:
        head = point_head(one.point, asked.site)
        for name, bucket in zip(asked.names, one.buckets, strict=True):
            row = {**head, **name, **_row(bucket)}
            yield [
                *(row[column] for column in CSV_COLUMNS),
                *(bucket.missing[reason] for reason in MissingReason),
            ]
