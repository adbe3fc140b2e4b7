"""Exports: all rows that a question asks for, batch by batch, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from typing import Any, TypeVar

from bson import decode_all
from bson.codec_options import CodecOptions
from pymongo import ASCENDING

from greenpower.mongo.client import Document
from greenpower.mongo.rollups.series import Series

# What stays in the processor's cache between decoding and encoding: larger ones are slower.
BATCH = 300
# What the server may work for one export, waiting for the reader not included.
WORK_MS = 600_000
# Times come without a zone, in UTC: the conversion is a tenth of an export's time.
PLAIN: CodecOptions[Document] = CodecOptions(tz_aware=False)
Item = TypeVar("Item")


def stream(series: Series, projection: Mapping[str, Any]) -> Generator[list[Document]]:
    """The rows of a series in order of time, stored ones and then the tail, in batches. Stored times have no zone.

    The server looks for the next batch while one is written. Closing the iterator closes the cursor at the server.
    Raises PyMongoError.
    """
    where = series.where()
    cursor = series.stored.find_raw_batches(where, projection, batch_size=BATCH, max_time_ms=WORK_MS)
    with cursor.sort("timestamp", ASCENDING) as batches, closing(fetch_ahead(batches)) as fetched:
        batch: Any  # bytes, whatever the annotations say
        for batch in fetched:
            if rows := decode_all(batch, PLAIN):
                yield rows
    tail = series.tail()
    if series.left_out:
        # The job is far behind: what it stored provisionally follows instead.
        done = where
        with series.stored.find(series.where(), projection, max_time_ms=WORK_MS).sort("timestamp", ASCENDING) as rest:
            limit = _end(done)
            tail = [row for row in rest if limit is None or row["timestamp"] > limit]
    for first in range(0, len(tail), BATCH):
        yield tail[first : first + BATCH]


def fetch_ahead(items: Iterator[Item]) -> Generator[Item]:
    """The items, each fetched while the one before it is worked on. No thread is left when it ends or is closed."""
    with ThreadPoolExecutor(1, "export") as pool:
        following = pool.submit(next, items, None)
        while (item := following.result()) is not None:
            following = pool.submit(next, items, None)
            yield item


def _end(where: Document) -> Any:
    return where.get("timestamp", {}).get("$lte")
