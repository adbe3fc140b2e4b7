"""Listening spans: when ingest was listening. Only then does silence say something about a device.

One `ListeningDocument` per span. A process moves the `until` of its span forward every few seconds while its sources
are connected and MongoDB accepts writes; after a gap it starts another span.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import uuid4

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.measure.presence import Span, join_spans
from greenpower.mongo.client import Document

# A span that was not moved forward for so long has ended.
MAX_SPAN_GAP = timedelta(seconds=10)


class Listening:
    """One process's spans."""

    def __init__(self, collection: AsyncCollection[Document]) -> None:
        self.collection = collection
        self._process = uuid4().hex
        self._sources: tuple[str, ...] = ()
        self._span: ObjectId | None = None
        self._until: datetime | None = None

    async def beat(self, sources: tuple[str, ...], now: datetime) -> None:
        """Note that these sources are listened to now; none is a gap. Raises PyMongoError."""
        if not sources:
            self._span = None
            return
        if self._span is None or sources != self._sources or self._until is None or now - self._until > MAX_SPAN_GAP:
            document = {"process": self._process, "sources": list(sources), "since": now, "until": now}
            self._span = None
            self._span = (await self.collection.insert_one(document)).inserted_id
        else:
            await self.collection.update_one({"_id": self._span}, {"$max": {"until": now}})
        self._sources, self._until = sources, now


async def read_listening(collection: AsyncCollection[Document]) -> list[tuple[frozenset[str], Span]]:
    """All spans that are kept: (sources, span)."""
    return [
        (frozenset(document["sources"]), Span(document["since"], document["until"]))
        async for document in collection.find({}, {"sources": 1, "since": 1, "until": 1})
    ]


def spans_of(watch: list[tuple[frozenset[str], Span]], sources: frozenset[str]) -> list[Span]:
    """When any of some sources was listened to, joined and in order."""
    return join_spans(span for found, span in watch if found & sources)
