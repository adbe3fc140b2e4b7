"""Readings as columns and back, bit for bit.

What belongs here: which column holds what, and the exactness rule. What does not: files (`greenpower.archive.files`).

| column | holds |
|---|---|
| `device_id`, `topic`, `clock` | text |
| `timestamp`, `received_at`, `updated_at` | UTC, milliseconds |
| `complete` | true or false |
| `id_time`, `id_process`, `id_count` | the three parts of `_id`, so that they compress |
| `shape` | the names of the payload's fields, in their order, separated by a line feed |
| `value.<field>` | the values. Metadata `scale=n`: whole numbers, the value times 10^n; without it: doubles |
| `whole.<field>` | true where the value was a whole number; only where a field has both kinds |
| `rest` | BSON of the values that fit no column exactly; of the whole document where `shape` is empty |

A double is kept as a scaled whole number only where dividing gives the same bits again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import bson
import pyarrow as pa
import pyarrow.compute as pc
from bson import CodecOptions, Int64, ObjectId

Document = dict[str, Any]

CODEC: CodecOptions[Document] = CodecOptions(tz_aware=True, tzinfo=UTC)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MILLISECOND = timedelta(milliseconds=1)
MAX_SCALE = 9
# Up to here every whole number is a double.
MAX_EXACT = 1 << 53
# A scale is taken if at most this share of the values does not fit it; those go to `rest`.
MAX_MISFITS = 0.01
KEYS = ("_id", "device_id", "topic", "timestamp", "received_at", "updated_at", "payload", "complete")
NAME_SEPARATOR = "\n"
TIME = pa.timestamp("ms", "UTC")


def milliseconds(time: datetime) -> int:
    """A time as BSON holds it."""
    return (time - EPOCH) // MILLISECOND


def plain_bytes(document: Mapping[str, Any]) -> bytes:
    """A document as BSON, in which a whole number has one form. Two are equal if and only if the readings are."""
    return bson.encode(_plain(document))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return int(value) if type(value) is Int64 else value


def _is_usual(document: Document) -> bool:
    """Whether every key of a reading is there, in its order and of its type, so that columns can hold it."""
    keys = tuple(document)
    return (
        (keys == KEYS or keys == (*KEYS, "clock"))
        and type(document["_id"]) is ObjectId
        and type(document["device_id"]) is str
        and type(document["topic"]) is str
        and type(document["timestamp"]) is datetime
        and type(document["received_at"]) is datetime
        and type(document["updated_at"]) is datetime
        and type(document["complete"]) is bool
        and type(document.get("clock", "")) is str
        and type(document["payload"]) is dict
        and not any(NAME_SEPARATOR in name for name in document["payload"])
        and "" not in document["payload"]
    )


def to_table(documents: Sequence[Document]) -> pa.Table:
    """Readings as a table, in their order. Each needs `device_id` and `timestamp`; whatever else it has is kept."""
    rests: list[Document] = [{} for _ in documents]
    whole: list[bytes | None] = [None if _is_usual(document) else bson.encode(document) for document in documents]
    usual = [document if unusual is None else None for document, unusual in zip(documents, whole, strict=True)]
    payloads: list[Mapping[str, Any]] = [{} if document is None else document["payload"] for document in usual]
    names: dict[str, None] = {}
    for payload in payloads:
        names.update(dict.fromkeys(payload))
    ids = [b"\0" * 12 if document is None else document["_id"].binary for document in usual]
    shapes: dict[tuple[str, ...], str] = {}
    columns: list[tuple[pa.Field, pa.Array]] = []

    def add(name: str, values: Sequence[Any], kind: pa.DataType) -> None:
        columns.append((pa.field(name, kind), pa.array(values, kind)))

    def times(name: str) -> list[int | None]:
        return [None if document is None else milliseconds(document[name]) for document in usual]

    add("device_id", [document["device_id"] for document in documents], pa.string())
    add("timestamp", [milliseconds(document["timestamp"]) for document in documents], TIME)
    add("received_at", times("received_at"), TIME)
    add("updated_at", times("updated_at"), TIME)
    add("topic", [None if document is None else document["topic"] for document in usual], pa.string())
    add("complete", [None if document is None else document["complete"] for document in usual], pa.bool_())
    add("clock", [None if document is None else document.get("clock") for document in usual], pa.string())
    add("id_time", [int.from_bytes(item[:4]) for item in ids], pa.int64())
    add("id_process", [item[4:9] for item in ids], pa.binary(5))
    add("id_count", [int.from_bytes(item[9:]) for item in ids], pa.int64())
    keys = [None if document is None else tuple(document["payload"]) for document in usual]
    shape = [None if key is None else shapes.setdefault(key, NAME_SEPARATOR.join(key)) for key in keys]
    add("shape", shape, pa.string())
    for name in names:
        columns += _field_columns(name, payloads, rests)
    rest = [unusual or (bson.encode(left) if left else None) for unusual, left in zip(whole, rests, strict=True)]
    add("rest", rest, pa.binary())
    return pa.Table.from_arrays([data for _, data in columns], schema=pa.schema([field for field, _ in columns]))


def _field_columns(
    name: str, payloads: Sequence[Mapping[str, Any]], rests: list[Document]
) -> Iterator[tuple[pa.Field, pa.Array]]:
    """The columns of one field. What fits none of them goes into the rows' rests."""
    absent = object()
    floats: list[float | None] = []
    wholes: list[int | None] = []
    for row, payload in enumerate(payloads):
        value = payload.get(name, absent)
        kind = type(value)
        floats.append(value if kind is float else None)
        is_whole = kind in (int, Int64) and -MAX_EXACT <= value <= MAX_EXACT
        wholes.append(int(value) if is_whole else None)
        if value is not absent and kind is not float and not is_whole:
            rests[row][name] = value
    doubles = pa.array(floats, pa.float64())
    integers = pa.array(wholes, pa.int64())
    has_floats, has_wholes = doubles.null_count < len(doubles), integers.null_count < len(integers)
    scale, scaled = _best_scale(doubles) if has_floats else (0, None)
    if scale is not None:
        factor = 10**scale
        if has_wholes:
            fits = pc.less_equal(pc.abs(integers), MAX_EXACT // factor)
            for row in _rows(pc.invert(fits)):
                rests[row][name] = wholes[row]
            integers = pc.multiply(pc.if_else(fits, integers, pa.scalar(None, pa.int64())), factor)
        if scaled is not None:
            for row in _rows(pc.and_(doubles.is_valid(), scaled.is_null())):
                rests[row][name] = floats[row]
        values = integers if scaled is None else pc.coalesce(scaled, integers)
        yield pa.field(f"value.{name}", pa.int64(), metadata={"scale": str(scale)}), values
    else:
        yield pa.field(f"value.{name}", pa.float64()), pc.coalesce(doubles, integers.cast(pa.float64()))
    if has_wholes:
        yield pa.field(f"whole.{name}", pa.bool_()), integers.is_valid()


def _rows(mask: pa.Array) -> list[int]:
    """The rows in which a condition is true."""
    return list(pc.indices_nonzero(mask.fill_null(False)).to_pylist())


def _best_scale(doubles: pa.Array) -> tuple[int | None, pa.Array | None]:
    """The smallest scale that (nearly) all doubles fit, and them as whole numbers, null where one does not fit."""
    allowed = (len(doubles) - doubles.null_count) * MAX_MISFITS
    for scale in range(MAX_SCALE + 1):
        scaled = pc.round(pc.multiply(doubles, float(10**scale)))
        back = pc.divide(scaled, float(10**scale))
        # A zero with a sign would lose it.
        signed = pc.and_(pc.equal(doubles, 0.0), pc.less(pc.divide(1.0, doubles), 0.0))
        fits = pc.and_(pc.and_(pc.equal(back, doubles), pc.less(pc.abs(scaled), float(MAX_EXACT))), pc.invert(signed))
        misfits = (pc.sum(pc.invert(fits)).as_py() or 0) if len(fits) else 0
        if misfits <= allowed:
            kept = pc.if_else(fits, scaled, pa.scalar(None, pa.float64()))
            return scale, kept.cast(pa.int64())
    return None, None


def to_documents(table: pa.Table, fields: Sequence[str] | None = None) -> Iterator[Document]:
    """The readings of a table, as they were. fields: payloads have only these."""
    columns: dict[str, list[Any]] = {}
    for name in table.column_names:
        column = table.column(name)
        if name.startswith(("value.", "whole.")):
            continue
        columns[name] = column.cast(pa.int64()).to_pylist() if column.type == TIME else column.to_pylist()
    values = _field_values(table, fields)
    wanted = None if fields is None else set(fields)
    orders: dict[str, tuple[str, ...]] = {"": ()}
    rows = zip(
        *(columns[name] for name in ("device_id", "timestamp", "received_at", "updated_at", "topic", "complete")),
        *(columns[name] for name in ("clock", "id_time", "id_process", "id_count", "shape", "rest")),
        strict=True,
    )
    for row, (device, at, received, updated, topic, complete, clock, seconds, process, count, shape, rest) in enumerate(
        rows
    ):
        left = bson.decode(rest, CODEC) if rest is not None else {}
        if shape is None:
            if wanted is not None and isinstance(left.get("payload"), dict):
                left["payload"] = {name: value for name, value in left["payload"].items() if name in wanted}
            yield left
            continue
        order = orders.get(shape)
        if order is None:
            names = tuple(shape.split(NAME_SEPARATOR))
            order = orders[shape] = names if wanted is None else tuple(name for name in names if name in wanted)
        document: Document = {
            "_id": ObjectId(seconds.to_bytes(4) + process + count.to_bytes(3)),
            "device_id": device,
            "topic": topic,
            "timestamp": EPOCH + at * MILLISECOND,
            "received_at": EPOCH + received * MILLISECOND,
            "updated_at": EPOCH + updated * MILLISECOND,
            "payload": {name: left[name] if name in left else values[name][row] for name in order},
            "complete": complete,
        }
        if clock is not None:
            document["clock"] = clock
        yield document


def _field_values(table: pa.Table, fields: Sequence[str] | None) -> dict[str, Sequence[Any]]:
    """Each field's values, row by row, of their own kind."""
    found: dict[str, Sequence[Any]] = {}
    for column in table.schema:
        name = column.name.removeprefix("value.")
        if name == column.name or (fields is not None and name not in fields):
            continue
        data = table.column(column.name)
        whole_name = f"whole.{name}"
        wholes = table.column(whole_name) if whole_name in table.column_names else None
        is_whole = None if wholes is None else wholes.to_pylist()
        scale = int((column.metadata or {}).get(b"scale", b"-1"))
        exact = pc.divide(data.cast(pa.float64()), float(10**scale)) if scale >= 0 else data
        doubles = exact.to_pylist()
        if is_whole is None:
            found[name] = doubles
        elif scale == 0:
            numbers = data.to_pylist()
            found[name] = [n if w else d for n, d, w in zip(numbers, doubles, is_whole, strict=True)]
        else:
            found[name] = [int(d) if w and d is not None else d for d, w in zip(doubles, is_whole, strict=True)]
    return found
