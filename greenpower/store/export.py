"""Exports: all rows that a question asks for, batch by batch, in memory that does not grow with them."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from typing import Any

from bson import decode_all
from bson.codec_options import CodecOptions
from pymongo import ASCENDING

from greenpower.store.client import Document
from greenpower.store.series import Series

# What stays in the processor's cache between decoding and encoding: larger ones are slower.
BATCH = 300
# What the server may work for one export, waiting for the reader not included.
WORK_MS = 600_000
# Times come without a zone, in UTC: the conversion is a tenth of an export's time.
PLAIN: CodecOptions[Document] = CodecOptions(tz_aware=False)


def stream(series: Series, projection: Mapping[str, Any]) -> Generator[list[Document]]:
    """The rows of a series in order of time, stored ones and then the tail, in batches. Stored times have no zone.

    Closing the iterator closes the cursor at the server. Raises PyMongoError.
    """
    where = series.where()
    cursor = series.stored.find_raw_batches(where, projection, batch_size=BATCH, max_time_ms=WORK_MS)
    with cursor.sort("timestamp", ASCENDING) as batches:
        batch: Any  # bytes, whatever the annotations say
        for batch in batches:
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


def _end(where: Document) -> Any:
    return where.get("timestamp", {}).get("$lte")
