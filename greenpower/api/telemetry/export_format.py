"""Formats of exports: they turn rows into bytes, batch by batch. Parquet is in `greenpower.api.telemetry.parquet`.

Rows have the shape that `greenpower.mongo.rollups.present` gives them.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from greenpower.api.http.csv_text import csv_lines
from greenpower.api.http.json import encode, iso
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.named_corrections import NAMED

NDJSON, CSV, PARQUET = "ndjson", "csv", "parquet"
FORMATS = (NDJSON, CSV, PARQUET)
MIMETYPES = {NDJSON: "application/x-ndjson", CSV: "text/csv", PARQUET: "application/vnd.apache.parquet"}
GZIP = "application/gzip"
# Shapes of CSV: a line per row, or a line per value.
WIDE, NARROW = "wide", "narrow"
SHAPES = (WIDE, NARROW)
# Of a type with more fields, most cells of a wide table are empty, and nobody can read its header.
MAX_WIDE_FIELDS = 30
NO_UNIT = "1"


class Writer(Protocol):
    """Turns rows into bytes. It may return the bytes of a row later, with those of others."""

    def write(self, rows: Sequence[Document]) -> bytes: ...

    def finish(self) -> bytes:
        """The bytes that are left at the end."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileColumns:
    """What the columns of CSV and Parquet are.

    fields: in order; units: theirs, by name, without those that have none. buckets: whether rows are buckets.
    corrections: whether a last column has those of a row. narrow: in CSV one line per value, not per row, with whatever
    fields a row has. with_units: in CSV the units are told.
    """

    fields: Sequence[str]
    units: Mapping[str, str]
    buckets: bool
    corrections: bool = False
    narrow: bool = False
    with_units: bool = True


def columns_of(
    datatype: DataType,
    names: Sequence[str],
    *,
    buckets: bool,
    corrections: bool = False,
    shape: str | None = None,
    with_units: bool = True,
) -> FileColumns:
    """The columns for the requested fields, or for all declared ones. shape: None for what fits the type."""
    fields = list(names) or [field.name for field in datatype.fields]
    if shape is None:
        shape = WIDE if names or 0 < len(datatype.fields) <= MAX_WIDE_FIELDS else NARROW
    return FileColumns(
        fields=fields,
        units={field.name: field.unit for field in datatype.fields if field.unit != NO_UNIT},
        buckets=buckets,
        corrections=corrections,
        narrow=shape == NARROW,
        with_units=with_units,
    )


def make_writer(name: str, columns: FileColumns, *, gzip: bool = False) -> Writer:
    """The writer of a format."""
    writer: Writer
    if name == NDJSON:
        writer = Ndjson()
    elif name == CSV:
        writer = NarrowCsv(columns) if columns.narrow else Csv(columns)
    else:
        # Imported only when needed: it is large.
        from greenpower.api.telemetry.parquet import Parquet

        writer = Parquet(columns)
    return Gzip(writer) if gzip else writer


class Ndjson:
    """One JSON object per line, as in lists."""

    def write(self, rows: Sequence[Document]) -> bytes:
        lines = []
        stamp, text = None, ""
        for row in rows:
            # Rows come in order of time, so many in a row have the same.
            if row["timestamp"] != stamp:
                stamp = row["timestamp"]
                text = iso(stamp)
            row["timestamp"] = text
            lines.append(encode(row))
        lines.append(b"")
        return b"\n".join(lines)

    def finish(self) -> bytes:
        return b""


class Csv:
    """A header and one line per row, as in RFC 4180. Units are in the header: `volts [V]`."""

    def __init__(self, columns: FileColumns) -> None:
        self.columns = columns
        self.third = "final" if columns.buckets else "topic"
        named = [
            f"{name} [{columns.units[name]}]" if columns.with_units and name in columns.units else name
            for name in columns.fields
        ]
        self.waiting: list[list[Any]] = [["device_id", "timestamp", self.third, *named, *_last_column(columns)]]

    def write(self, rows: Sequence[Document]) -> bytes:
        lines, self.waiting = self.waiting, []
        for row in rows:
            lines.append([row["device_id"], iso(row["timestamp"]), row[self.third]])
            lines[-1] += [row["payload"].get(name) for name in self.columns.fields]
            lines[-1] += _corrections(row, self.columns)
        return csv_lines(lines)

    def finish(self) -> bytes:
        return self.write(())


class NarrowCsv:
    """A header and one line per value: for types with many fields, of which a row has few."""

    def __init__(self, columns: FileColumns) -> None:
        self.columns = columns
        unit = ["unit"] if columns.with_units else []
        final = ["final"] if columns.buckets else []
        self.waiting: list[list[Any]] = [
            ["timestamp", "device_id", "field", "value", *unit, *final, *_last_column(columns)]
        ]

    def write(self, rows: Sequence[Document]) -> bytes:
        lines, self.waiting = self.waiting, []
        with_units, units = self.columns.with_units, self.columns.units
        for row in rows:
            stamp, device = iso(row["timestamp"]), row["device_id"]
            final = [row["final"]] if self.columns.buckets else []
            rest = [*final, *_corrections(row, self.columns)]
            for name, value in row["payload"].items():
                lines.append([stamp, device, name, value, *([units.get(name)] if with_units else ()), *rest])
        return csv_lines(lines)

    def finish(self) -> bytes:
        return self.write(())


def _last_column(columns: FileColumns) -> list[str]:
    return [NAMED] if columns.corrections else []


def _corrections(row: Document, columns: FileColumns) -> list[str]:
    return [" ".join(row.get(NAMED, ()))] if columns.corrections else []


class Gzip:
    """The bytes of another writer, compressed as a gzip file."""

    def __init__(self, inner: Writer) -> None:
        self.inner = inner
        self.packer = zlib.compressobj(level=5, wbits=31)

    def write(self, rows: Sequence[Document]) -> bytes:
        return self.packer.compress(self.inner.write(rows))

    def finish(self) -> bytes:
        return self.packer.compress(self.inner.finish()) + self.packer.flush()
