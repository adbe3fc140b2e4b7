"""The schemas of a data type, for its answers and for the OpenAPI text: fields with title, unit and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_TIME, time_field
from greenpower.api.http.paging import PageSchema
from greenpower.datatype import DataType, Field

ID = "6743c1f2a1b2c3d4e5f60718"
DEVICE = "33B1225950027"
TYPE = "meter"
TOPIC = "site/meter"
EXAMPLES = {"V": 229.097, "A": 12.5, "kW": 6.6905, "kvar": 1.25, "kVA": 6.81, "kWh": 31.057, "Hz": 50.01, "°C": 31.5}


class StatsSchema(ma.Schema):
    """Statistics of a value in a bucket. Which there are depends on its kind."""

    n = ma.fields.Integer(required=True, metadata=describe("samples"))
    min = ma.fields.Float(metadata=describe("gauges: the least"))
    max = ma.fields.Float(metadata=describe("gauges: the greatest"))
    first = ma.fields.Float(metadata=describe("counters: the register at the first sample"))
    last = ma.fields.Float(metadata=describe("counters and states: the last sample"))
    energy = ma.fields.Float(metadata=describe("counters: what was counted from the first sample to the last"))


class CoverageSchema(ma.Schema):
    """Which readings a bucket was made of."""

    count = ma.fields.Integer(required=True, metadata=describe("readings"))
    first = time_field("time of the first")
    last = time_field("time of the last")


def resolution_name() -> ma.fields.String:
    """The resolution of an answer."""
    return ma.fields.String(
        required=True, metadata=describe("raw, or the length of the buckets such as 10m", example="raw")
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Schemas:
    """The schemas derived from a data type. example: an answer of its list."""

    payload: type[ma.Schema]
    reading: type[ma.Schema]
    page: type[ma.Schema]
    latest: type[ma.Schema]
    changes: type[ma.Schema]
    example: dict[str, Any]


def make_schemas(datatype: DataType) -> Schemas:
    """Derive the schemas of a data type."""
    stem = "".join(part.capitalize() for part in datatype.name.split("_"))
    fields: dict[str, ma.fields.Float] = {field.name: _number(field) for field in datatype.fields}
    open_meta = {"Meta": type("Meta", (), {"unknown": ma.INCLUDE if datatype.open else ma.EXCLUDE, "ordered": True})}
    payload = type(f"{stem}Payload", (ma.Schema,), {**open_meta, **fields, "__doc__": f"{datatype.title}: values."})
    reading = type(
        f"{stem}Reading",
        (ma.Schema,),
        {
            "id": ma.fields.String(
                required=True,
                allow_none=True,
                metadata=describe("its own id; null: a bucket that is not stored yet", example=ID),
            ),
            "topic": ma.fields.String(
                required=True, allow_none=True, metadata=describe("where its first frame came from; null for buckets")
            ),
            "device_id": ma.fields.String(required=True, metadata=describe("the device", example=DEVICE)),
            "timestamp": time_field("when it was measured, UTC, milliseconds"),
            "payload": ma.fields.Nested(payload, required=True, metadata=describe("the values that came, by field")),
            "final": ma.fields.Boolean(metadata=describe("of buckets: whether all that belongs to it is in it")),
            "stats": ma.fields.Dict(
                keys=ma.fields.String(),
                values=ma.fields.Nested(StatsSchema),
                metadata=describe("of buckets, with stats=true: statistics by field"),
            ),
            "coverage": ma.fields.Nested(
                CoverageSchema, metadata=describe("of buckets, with stats=true: which readings it was made of")
            ),
        },
    )
    results = ma.fields.List(ma.fields.Nested(reading), required=True)
    page = type(f"{stem}Page", (PageSchema,), {"resolution": resolution_name(), "results": results})
    link = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the page after this one"))
    latest = type(f"{stem}Latest", (ma.Schema,), {"next": link, "results": results})
    return Schemas(
        payload=payload,
        reading=reading,
        page=page,
        latest=latest,
        changes=_changes(stem, reading),
        example=_example(datatype),
    )


def _changes(stem: str, reading: type[ma.Schema]) -> type[ma.Schema]:
    written = time_field("when it was last written")
    row = type(f"{stem}Change", (reading,), {"updated_at": written})
    after = ma.fields.String(required=True, allow_none=True, metadata=describe("what to give as `after` next time"))
    link = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to more that is there already"))
    until = time_field("what was written before is shown")
    results = ma.fields.List(ma.fields.Nested(row), required=True)
    parts = {"after": after, "next": link, "until": until, "resolution": resolution_name(), "results": results}
    return type(f"{stem}Changes", (ma.Schema,), parts)


def _number(field: Field) -> ma.fields.Float:
    words = [field.title or field.name, "no unit" if field.unit == "1" else field.unit]
    if field.low is not None and field.high is not None:
        words.append(f"{field.low:g} to {field.high:g}")
    return ma.fields.Float(metadata=describe(", ".join(words), **{"x-unit": field.unit, "x-kind": field.kind.value}))


def _example(datatype: DataType) -> dict[str, Any]:
    payload = {field.name: EXAMPLES.get(field.unit, 1.5) for field in datatype.fields[:4]}
    topic = datatype.topics[0].topic if datatype.topics else f"tcp/{datatype.name}/{DEVICE}"
    result = {"id": ID, "topic": topic, "device_id": DEVICE, "timestamp": EXAMPLE_TIME, "payload": payload}
    return {"count": 1, "next": None, "previous": None, "resolution": "raw", "results": [result]}
