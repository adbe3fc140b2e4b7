"""The readings of a stretch, fetched first and decoded later: so they can be fetched while others are computed.

What belongs here: readings as they came from MongoDB or the archive, by device. What does not: other documents
(`greenpower.mongo.rollups.source`), how bytes become numbers (`reading_layout`), what people corrected
(`greenpower.mongo.corrections.samples`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from bson.codec_options import CodecOptions
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import FederatedReadings, held_by_mongo
from greenpower.mongo.rollups.reading_layout import split_readings
from greenpower.mongo.rollups.source import DOCUMENTS_PER_BATCH, by_device, cursor_type, query_of, sort_order


@dataclass(frozen=True, slots=True)
class StretchReadings:
    """Readings of a stretch, not decoded yet. batches: as BSON; documents: those of a stretch that is archived in part,
    by device, instead."""

    batches: Iterable[bytes]
    options: CodecOptions[Any]
    documents: dict[str, Sequence[Document]] | None = None

    @classmethod
    def find(
        cls,
        collection: Collection[Document],
        begin: datetime,
        end: datetime,
        devices: Sequence[str] | None,
        projection: dict[str, Any],
    ) -> StretchReadings:
        """Those of `[begin, end)`, to be fetched while they are decoded. devices: None for all. projection: gives
        device_id, timestamp, payload and clock, or some of it. Raises PyMongoError, as `by_device` does."""
        query = query_of(begin, end, devices)
        if isinstance(collection, FederatedReadings) and collection.reaches_archive(query):
            # What is archived is no BSON.
            found = by_device(collection, begin, end, devices, projection)
            return cls((), collection.codec_options, dict(found))
        collection = held_by_mongo(collection)
        order, kind = sort_order(devices), cursor_type(collection)
        cursor = collection.find_raw_batches(
            query, projection, sort=order, batch_size=DOCUMENTS_PER_BATCH, cursor_type=kind
        )
        return cls(cast(Iterable[bytes], cursor), collection.codec_options)

    def fetched(self) -> StretchReadings:
        """The same, all of it in memory. Raises PyMongoError."""
        return StretchReadings(list(self.batches), self.options, self.documents)

    def by_device(self) -> dict[str, Sequence[Document]]:
        """By device, in order of time: of most devices a `ReadingTable`. Once only. Raises PyMongoError."""
        return split_readings(self.batches, self.options) if self.documents is None else self.documents
