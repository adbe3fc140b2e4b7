"""The schemas of a data type, for answers and for the OpenAPI text: fields with title, unit and kind."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import marshmallow as ma

from greenpower.api.http.blueprint import describe
from greenpower.api.http.fields import EXAMPLE_DEVICE_ID, EXAMPLE_ID, EXAMPLE_TIME, time_field
from greenpower.api.http.paging import PageSchema
from greenpower.datatype import DataType, Field

EXAMPLE_VALUES = {
    "V": 229.097,
    "A": 12.5,
    "kW": 6.6905,
    "kvar": 1.25,
    "kVA": 6.81,
    "kWh": 31.057,
    "Hz": 50.01,
    "°C": 31.5,
}


class StatsSchema(ma.Schema):
    """Statistics of a field in a bucket. Which ones there are depends on its kind."""

    n = ma.fields.Integer(required=True, metadata=describe("number of samples"))
    sum = ma.fields.Float(metadata=describe("gauges: sum of the samples"))
    min = ma.fields.Float(metadata=describe("gauges: minimum"))
    max = ma.fields.Float(metadata=describe("gauges: maximum"))
    mean = ma.fields.Float(
        allow_none=True,
        metadata=describe("gauges and angles: mean over the samples; `payload` has the mean over time"),
    )
    seconds = ma.fields.Float(
        metadata=describe("gauges and angles: how many seconds of the bucket the mean over time is of")
    )
    first = ma.fields.Float(metadata=describe("value of the first sample; of counters: the register"))
    first_at = ma.fields.DateTime(metadata=describe("gauges and angles: time of the first sample"))
    last = ma.fields.Float(metadata=describe("value of the last sample; of counters: the register"))
    last_at = ma.fields.DateTime(metadata=describe("gauges and angles: time of the last sample"))
    energy = ma.fields.Float(metadata=describe("counters: energy from the first sample to the last"))


class CoverageSchema(ma.Schema):
    """Which readings a bucket was made from."""

    count = ma.fields.Integer(required=True, metadata=describe("number of readings"))
    first = time_field("time of the first reading")
    last = time_field("time of the last reading")
    seconds = ma.fields.Float(
        metadata=describe("how many seconds of the bucket readings cover: a silence is not covered", example=600.0)
    )


def resolution_name() -> ma.fields.String:
    """The resolution of an answer."""
    return ma.fields.String(
        required=True, metadata=describe("`raw`, or the length of the buckets, such as `10m`", example="raw")
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
                metadata=describe("id of the row; null: a bucket that is not stored yet", example=EXAMPLE_ID),
            ),
            "topic": ma.fields.String(
                required=True, allow_none=True, metadata=describe("topic of its first frame; null for buckets")
            ),
            "device_id": ma.fields.String(required=True, metadata=describe("device", example=EXAMPLE_DEVICE_ID)),
            "timestamp": time_field("when it was measured, UTC, with milliseconds; of buckets: their start"),
            "payload": ma.fields.Nested(
                payload,
                required=True,
                metadata=describe("values, by field; of buckets: gauges and angles have their mean over time"),
            ),
            "final": ma.fields.Boolean(metadata=describe("of buckets: false if they may still change")),
            "corrections": ma.fields.List(
                ma.fields.String(),
                metadata=describe("ids of corrections of samples that it lies in, only where there are any"),
            ),
            "stats": ma.fields.Dict(
                keys=ma.fields.String(),
                values=ma.fields.Nested(StatsSchema),
                metadata=describe("of buckets, with stats=true: statistics by field"),
            ),
            "coverage": ma.fields.Nested(
                CoverageSchema, metadata=describe("of buckets, with stats=true: which readings they were made from")
            ),
        },
    )
    results = ma.fields.List(ma.fields.Nested(reading), required=True)
    page = type(f"{stem}Page", (PageSchema,), {"resolution": resolution_name(), "results": results})
    link = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to the next page"))
    newest = ma.fields.List(ma.fields.Nested(_newest(stem, reading) if datatype.gathers else reading), required=True)
    latest = type(f"{stem}Latest", (ma.Schema,), {"next": link, "results": newest})
    return Schemas(
        payload=payload,
        reading=reading,
        page=page,
        latest=latest,
        changes=_changes(stem, reading),
        example=_example(datatype),
    )


def _newest(stem: str, reading: type[ma.Schema]) -> type[ma.Schema]:
    """A device's newest reading, of a type whose values come one by one."""
    times = ma.fields.Dict(
        keys=ma.fields.String(),
        values=time_field("when it was measured"),
        metadata=describe("when values were measured that are older than the reading, by field"),
    )
    return type(f"{stem}NewestReading", (reading,), {"times": times})


def _changes(stem: str, reading: type[ma.Schema]) -> type[ma.Schema]:
    written = time_field("when it was last written")
    row = type(f"{stem}Change", (reading,), {"updated_at": written})
    after = ma.fields.String(
        required=True, allow_none=True, metadata=describe("give this as `after` in the next request")
    )
    link = ma.fields.Url(required=True, allow_none=True, metadata=describe("link to further rows that can be read now"))
    until = time_field("rows written before this time are included")
    results = ma.fields.List(ma.fields.Nested(row), required=True)
    fields = {"after": after, "next": link, "until": until, "resolution": resolution_name(), "results": results}
    return type(f"{stem}Changes", (ma.Schema,), fields)


def _number(field: Field) -> ma.fields.Float:
    words = [field.title or field.name, "no unit" if field.unit == "1" else field.unit]
    if field.low is not None and field.high is not None:
        words.append(f"{field.low:g} to {field.high:g}")
    return ma.fields.Float(
        metadata=describe(", ".join(words), **{"x-unit": str(field.unit), "x-kind": field.kind.value})
    )


def _example(datatype: DataType) -> dict[str, Any]:
    payload = {field.name: EXAMPLE_VALUES.get(field.unit, 1.5) for field in datatype.fields[:4]}
    topics = [claim.filter for claim in datatype.topics] + [claim.topic for claim in datatype.pushes]
    other = "tcp" if datatype.gateways else "modbus"
    topic = topics[0] if topics else f"{other}/{datatype.name}/{EXAMPLE_DEVICE_ID}"
    result = {
        "id": EXAMPLE_ID,
        "topic": topic,
        "device_id": EXAMPLE_DEVICE_ID,
        "timestamp": EXAMPLE_TIME,
        "payload": payload,
    }
    return {"count": 1, "next": None, "previous": None, "resolution": "raw", "results": [result]}
