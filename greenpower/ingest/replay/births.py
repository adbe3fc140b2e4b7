"""Births in a replay: those that are stored, and those that it reads again, which replace what was stored of them.

The stored ones are from before the span, too, so its first frames have a session; and from after any frame, so one that
came before its birth, through another process, is read as of it. What does not belong here: which birth a frame is of
(`greenpower.datatype.session`).
"""

from __future__ import annotations

from collections.abc import Iterable

from pymongo.asynchronous.collection import AsyncCollection

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType
from greenpower.ingest.arrival import Arrival
from greenpower.ingest.steps.birth_book import BirthBook
from greenpower.mongo.client import Document
from greenpower.mongo.devices.sessions import KnownSessions, SessionKey, read_sessions


class ReplayBirths:
    """The births of one replay of a type."""

    def __init__(self, collection: AsyncCollection[Document], registry: Registry, datatype: DataType) -> None:
        self._collection = collection
        self._registry = registry
        self._datatype = datatype
        self._changed: dict[SessionKey, KnownSessions] = {}  # of devices whose births say something else now

    async def book(self, arrivals: Iterable[Arrival]) -> BirthBook:
        """What to read a batch of frames with. Raises PyMongoError."""
        if not self._datatype.sessions:
            return BirthBook()
        keys = {key for arrival in arrivals if (key := self._key(arrival)) is not None}
        stored = await read_sessions(self._collection, keys - self._changed.keys())
        return BirthBook({**stored, **{key: self._changed[key] for key in keys & self._changed.keys()}}, again=True)

    def keep(self, book: BirthBook) -> None:
        """Take the births of a batch that was read."""
        for key in book.new:
            self._changed[key] = KnownSessions(0, book.of(key))

    def _key(self, arrival: Arrival) -> SessionKey | None:
        device = arrival.device
        if arrival.datatype is None:
            match = self._registry.match_topic(arrival.topic)
            device = None if match is None or match.datatype is not self._datatype else match.claim.device
        return None if device is None else SessionKey(self._datatype.name, device)
