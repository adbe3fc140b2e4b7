"""Exports: all rows that a query asks for, batch by batch, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime
from itertools import islice
from typing import Any, TypeVar

from bson import decode_all
from bson.codec_options import CodecOptions
from pymongo import ASCENDING

from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import FederatedReadings
from greenpower.mongo.rollups.rows import Rows

# What stays in the processor's cache between decoding and encoding: larger ones are slower.
ROWS_PER_BATCH = 300
# What the server may work for one export, waiting for the reader not included.
MAX_EXPORT_MS = 600_000
# Times come without a zone, in UTC: the conversion is a tenth of an export's time.
NO_TIME_ZONE: CodecOptions[Document] = CodecOptions(tz_aware=False)
Item = TypeVar("Item")


def stream(rows: Rows, projection: Mapping[str, Any]) -> Generator[list[Document]]:
    """All rows of a query in order of time, in batches: those made for the past, stored ones, those made on the fly.

    Stored times have no zone. The server reads the next batch while one is written. Closing the iterator closes the
    cursor at the server. Raises PyMongoError.
    """
    yield from _batches(rows.past())
    where = rows.where()
    if isinstance(rows.stored, FederatedReadings) and rows.stored.reaches_archive(where):
        yield from _stream_archived(rows, where, projection)
        return
    cursor = rows.stored.find_raw_batches(where, projection, batch_size=ROWS_PER_BATCH, max_time_ms=MAX_EXPORT_MS)
    with cursor.sort("timestamp", ASCENDING) as batches, closing(fetch_ahead(batches)) as fetched:
        batch: Any  # bytes, whatever the annotations say
        for batch in fetched:
            if decoded := decode_all(batch, NO_TIME_ZONE):
                yield decoded
    made = rows.on_the_fly()
    if rows.too_far_behind:
        # The job is far behind: what it stored provisionally follows instead.
        done = where
        with rows.stored.find(rows.where(), projection, max_time_ms=MAX_EXPORT_MS).sort("timestamp", ASCENDING) as rest:
            limit = _end(done)
            made = [row for row in rest if limit is None or row["timestamp"] > limit]
    yield from _batches(made)


def _stream_archived(rows: Rows, where: Document, projection: Mapping[str, Any]) -> Generator[list[Document]]:
    """Readings, of which nothing is made on the fly, as they are stored; times without a zone."""
    found = rows.stored.find(where, projection).sort("timestamp", ASCENDING)
    while batch := list(islice(found, ROWS_PER_BATCH)):
        yield [
            {name: value.replace(tzinfo=None) if isinstance(value, datetime) else value for name, value in row.items()}
            for row in batch
        ]


def _batches(rows: Sequence[Document]) -> Generator[list[Document]]:
    for first in range(0, len(rows), ROWS_PER_BATCH):
        yield list(rows[first : first + ROWS_PER_BATCH])


def fetch_ahead(items: Iterator[Item]) -> Generator[Item]:
    """The items, each fetched while the one before it is worked on. No thread is left when it ends or is closed."""
    with ThreadPoolExecutor(1, "export") as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def _end(where: Document) -> Any:
    return where.get("timestamp", {}).get("$lte")
