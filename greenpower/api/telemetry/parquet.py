"""Exports as Parquet: one row group at a time, the footer last, so memory does not grow with the file."""

from __future__ import annotations

import io
from collections.abc import Sequence
from datetime import UTC
from typing import Any

import pyarrow as pa
from pyarrow import parquet

from greenpower.api.telemetry.export_format import FileColumns
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.named_corrections import NAMED

ROWS_PER_GROUP = 20_000


class _Outlet(io.RawIOBase):
    """Takes the bytes that the library writes, to pass them on."""

    def __init__(self) -> None:
        self.parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self.parts.append(bytes(data))
        return len(data)

    def take(self) -> bytes:
        taken = b"".join(self.parts)
        self.parts.clear()
        return taken


class Parquet:
    """device_id, timestamp (milliseconds, UTC), topic (of buckets: final), one column of doubles per field, and on
    request a list of the ids of corrections. Units are in the columns' metadata, under `unit`."""

    def __init__(self, columns: FileColumns) -> None:
        self.columns = columns.fields
        self.corrections = columns.corrections
        self.third = "final" if columns.buckets else "topic"
        self.schema = pa.schema(
            [
                ("device_id", pa.string()),
                ("timestamp", pa.timestamp("ms", tz="UTC")),
                (self.third, pa.bool_() if columns.buckets else pa.string()),
                *(_column(name, columns.units.get(name)) for name in columns.fields),
                *([(NAMED, pa.list_(pa.string()))] if columns.corrections else ()),
            ]
        )
        self.outlet = _Outlet()
        self.waiting: list[Document] = []
        self.writer = parquet.ParquetWriter(self.outlet, self.schema, compression="zstd")

    def write(self, rows: Sequence[Document]) -> bytes:
        self.waiting += rows
        if len(self.waiting) >= ROWS_PER_GROUP:
            self._group()
        return self.outlet.take()

    def finish(self) -> bytes:
        if self.waiting:
            self._group()
        self.writer.close()
        return self.outlet.take()

    def _group(self) -> None:
        rows = self.waiting
        times = [_aware(row["timestamp"]) for row in rows]
        fixed = [[row["device_id"] for row in rows], times, [row[self.third] for row in rows]]
        # Arrow refuses integers that a double cannot hold exactly.
        values = [[_double(row["payload"].get(name)) for row in rows] for name in self.columns]
        named = [[row.get(NAMED, []) for row in rows]] if self.corrections else []
        every = zip([*fixed, *values, *named], self.schema.types, strict=True)
        arrays = [pa.array(column, type=kind) for column, kind in every]
        self.writer.write_table(pa.Table.from_arrays(arrays, schema=self.schema))
        self.waiting = []


def _column(name: str, unit: str | None) -> Any:
    return pa.field(name, pa.float64(), metadata=None if unit is None else {"unit": unit})


def _aware(time: Any) -> Any:
    return time.replace(tzinfo=UTC) if time.tzinfo is None else time


def _double(value: Any) -> float | None:
    return None if value is None else float(value)
