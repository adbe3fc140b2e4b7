"""Formats of exports: they turn rows into bytes, batch by batch. Parquet is in `greenpower.api.telemetry.parquet`.

Rows have the shape that `greenpower.api.telemetry.row` gives them.
"""

from __future__ import annotations

import csv
import io
import zlib
from collections.abc import Sequence
from typing import Protocol

from greenpower.api.http.json import encode, iso
from greenpower.datatype import DataType
from greenpower.mongo.client import Document

NDJSON, CSV, PARQUET = "ndjson", "csv", "parquet"
FORMATS = (NDJSON, CSV, PARQUET)
MIMETYPES = {NDJSON: "application/x-ndjson", CSV: "text/csv", PARQUET: "application/vnd.apache.parquet"}
GZIP = "application/gzip"


class Writer(Protocol):
    """Turns rows into bytes. It may return the bytes of a row later, with those of others."""

    def write(self, rows: Sequence[Document]) -> bytes: ...

    def finish(self) -> bytes:
        """The bytes that are left at the end."""


def make_writer(name: str, columns: Sequence[str], *, buckets: bool, gzip: bool = False) -> Writer:
    """The writer of a format. columns: the fields that CSV and Parquet have. buckets: whether rows are buckets."""
    writer: Writer
    if name == NDJSON:
        writer = Ndjson()
    elif name == CSV:
        writer = Csv(columns, buckets)
    else:
        # Imported only when needed: it is large.
        from greenpower.api.telemetry.parquet import Parquet

        writer = Parquet(columns, buckets)
    return Gzip(writer) if gzip else writer


def columns_of(datatype: DataType, names: Sequence[str]) -> list[str]:
    """The columns for the requested fields, or for all declared ones."""
    return list(names) or [field.name for field in datatype.fields]


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
    """A header and one line per row, as in RFC 4180."""

    def __init__(self, columns: Sequence[str], buckets: bool) -> None:
        self.columns = columns
        self.third = "final" if buckets else "topic"
        self.header: list[list[str]] = [["device_id", "timestamp", self.third, *columns]]

    def write(self, rows: Sequence[Document]) -> bytes:
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerows(self.header)
        self.header = []
        for row in rows:
            payload, third = row["payload"], row[self.third]
            shown = str(third).lower() if isinstance(third, bool) else third
            values = [payload.get(name) for name in self.columns]
            writer.writerow([row["device_id"], iso(row["timestamp"]), shown, *values])
        return text.getvalue().encode("utf-8", "surrogatepass")

    def finish(self) -> bytes:
        return self.write(()) if self.header else b""


class Gzip:
    """The bytes of another writer, compressed as a gzip file."""

    def __init__(self, inner: Writer) -> None:
        self.inner = inner
        self.packer = zlib.compressobj(level=5, wbits=31)

    def write(self, rows: Sequence[Document]) -> bytes:
        return self.packer.compress(self.inner.write(rows))

    def finish(self) -> bytes:
        return self.packer.compress(self.inner.finish()) + self.packer.flush()
