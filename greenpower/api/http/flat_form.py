"""The flat form, for spreadsheets, Grafana, Home Assistant: one value per row, `timestamp,device_id,field,value`.

An answer has everything that was asked for, or is 422 and says what to ask instead: such tools show what they get and
know nothing of pages. Programs that do can page with `cursor`. What belongs here: parameters, rows and the two formats.
What does not: which values there are (`greenpower.api.telemetry.flat_list` and its neighbours).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import marshmallow as ma
from flask import Response, request

from greenpower.api.http.blueprint import describe
from greenpower.api.http.csv_text import csv_lines
from greenpower.api.http.errors import abort_query
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_TIME, ItemList
from greenpower.api.http.json import answer, iso
from greenpower.datatype import DataType

MAX_FLAT_VALUES = 50_000
FLAT_COLUMNS = ("timestamp", "device_id", "field", "value")
JSON_FORMAT, CSV_FORMAT = "json", "csv"
CSV_TYPE = "text/csv"
FLAT_DESCRIPTION = f"""One value per row: timestamp, device_id, field, value; `columns` adds further ones. As JSON,
or as CSV with `format=csv` or `Accept: {CSV_TYPE}`. An answer has all values that were asked for, at most
{MAX_FLAT_VALUES}; for more it is 422 and says what to ask instead."""
# As a whole: what a view says of an answer replaces the media types that its schema makes.
FLAT_RESPONSES: dict[str, Any] = {
    "200": {
        "description": "the values",
        "content": {
            "application/json": {"schema": {"$ref": "#/components/schemas/FlatSeries"}},
            CSV_TYPE: {"schema": {"type": "string"}, "example": ",".join(FLAT_COLUMNS) + "\r\n"},
        },
    }
}

FlatValue = dict[str, Any]


class FlatRowSchema(ma.Schema):
    """A value of a field of a device."""

    timestamp = ma.fields.DateTime(
        required=True,
        metadata=describe(
            "when it was measured, UTC; of means and energies: the start of their bucket, of calendar buckets in local"
            " time with its offset",
            example=EXAMPLE_TIME,
        ),
    )
    device_id = ma.fields.String(required=True, metadata=describe("the device", example=EXAMPLE_DEVICE_ID))
    field = ma.fields.String(required=True, metadata=describe("the field", example="ua"))
    value = ma.fields.Float(
        required=True, allow_none=True, metadata=describe("its value; null: no samples in the bucket", example=229.097)
    )
    unit = ma.fields.String(metadata=describe("unit of the value", example="V"))
    final = ma.fields.Boolean(metadata=describe("whether it may not change any more; readings are always final"))
    bucket = ma.fields.String(metadata=describe("name of the calendar bucket, in local time", example="2026-03-29"))
    samples = ma.fields.Integer(metadata=describe("number of samples in the bucket", example=92))
    coverage = ma.fields.Float(metadata=describe("0 to 1: the part of the bucket between registers", example=1))
    undecided = ma.fields.Boolean(metadata=describe("whether energy is left out until an operator decides an incident"))
    estimated = ma.fields.Boolean(metadata=describe("whether a part of it is an estimate"))


class FlatSeries(ma.Schema):
    """Values, one per row."""

    next = ma.fields.Url(
        required=True, allow_none=True, metadata=describe("link to further values; null: these are all")
    )
    results = ma.fields.List(ma.fields.Nested(FlatRowSchema), required=True)


class FlatQuery(ma.Schema):
    """How values are given. Each list adds `columns`, of its own choice."""

    format = ma.fields.String(
        validate=ma.validate.OneOf((JSON_FORMAT, CSV_FORMAT)),
        metadata=describe(f"format of the answer; default: {JSON_FORMAT}, unless the header Accept prefers {CSV_TYPE}"),
    )


def columns_field(choices: Sequence[str]) -> ItemList:
    """The parameter `columns`: further columns behind the four that there always are."""

    def known(names: Sequence[str]) -> None:
        for name in names:
            if name not in choices:
                raise ma.ValidationError(f"There is no column {name!r}. Choose from {', '.join(choices)}.")

    text = f"further columns: {', '.join(choices)}; separate several with commas, or repeat the parameter"
    return ItemList(max_items=len(choices), validate=known, metadata=describe(text, example=[choices[0]]))


def values_of(
    documents: Iterable[dict[str, Any]],
    present: Callable[[dict[str, Any]], dict[str, Any]],
    datatype: DataType,
    names: Sequence[str],
) -> list[FlatValue]:
    """The values of readings or buckets, in the order of the declaration or of the requested `names`."""
    units = {field.name: field.unit for field in datatype.fields}
    order = list(names) or list(units)
    rows: list[FlatValue] = []
    for document in documents:
        row = present(document)
        payload, final = row["payload"], row.get("final", True)
        timestamp, device_id = iso(row["timestamp"]), row["device_id"]
        others = () if names else (name for name in payload if name not in units)
        rows += [
            {
                "timestamp": timestamp,
                "device_id": device_id,
                "field": name,
                "value": payload[name],
                "unit": units.get(name, ""),
                "final": final,
            }
            for name in (*order, *others)
            if name in payload
        ]
    return rows


def rows_per_answer(datatype: DataType, names: Sequence[str]) -> int:
    """How many readings or buckets have at most `MAX_FLAT_VALUES` values."""
    return max(1, MAX_FLAT_VALUES // max(1, len(names) or len(datatype.fields)))


def refuse_too_many(names: Sequence[str], *, instead: str) -> None:
    """Answer 422 where there are more values than one answer has. instead: what else to ask for, as a sentence."""
    hint = "" if names else " Name the fields that you need with `fields`."
    abort_query(
        "cursor", f"There are more than {MAX_FLAT_VALUES} values.{hint} {instead} Or page through them with cursor=."
    )


def flat_answer(
    query: dict[str, Any],
    values: Iterable[FlatValue],
    following: str | None = None,
    leading: Sequence[str] = FLAT_COLUMNS,
) -> Response:
    """The answer: JSON, or CSV with the link to further values in its header. leading: columns of every answer."""
    columns = (*leading, *query["columns"])
    rows = ([value[name] for name in columns] for value in values)
    if wants_csv(query):
        response = Response(csv_lines([columns, *rows]), mimetype=CSV_TYPE)
        if following is not None:
            response.headers["Link"] = f'<{following}>; rel="next"'
    else:
        results = [dict(zip(columns, row, strict=True)) for row in rows]
        response = answer({"next": following, "results": results})
    response.headers.add("Vary", "Accept")
    return response


def wants_csv(query: dict[str, Any]) -> bool:
    """Whether an answer is to be CSV. query: of a schema with `format`."""
    if "format" in query:
        return bool(query["format"] == CSV_FORMAT)
    return request.accept_mimetypes.best_match(("application/json", CSV_TYPE)) == CSV_TYPE
