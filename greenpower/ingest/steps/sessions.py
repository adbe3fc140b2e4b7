"""Reading frames whose meaning depends on a birth: each has the births of its device, whichever process took them.

    which devices > their births: cached, or read again if another process wrote > parsers, in order > births, journaled

A batch with such frames takes its turn: it begins to read when the births of the batch before it are stored. So a frame
that is acknowledged was read with births that are stored, and a replay finds them. What belongs here: the cache, the
turns, whose births are kept. What does not: parsing (`reader`), the order of births (`greenpower.datatype.session`).
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime
from functools import partial

from prometheus_client import Counter
from pymongo.asynchronous.collection import AsyncCollection

from greenpower.datatype.session import session_at
from greenpower.ingest.arrival import Arrival, FrameReading
from greenpower.ingest.steps.birth_book import BirthBook
from greenpower.ingest.steps.reader import Reader
from greenpower.mongo.client import Document
from greenpower.mongo.devices.sessions import (
    NO_BIRTHS,
    KnownSessions,
    SessionKey,
    add_births,
    read_revisions,
    read_sessions,
)
from greenpower.mongo.failure import until_written

log = logging.getLogger(__name__)

MAX_CACHED_SESSIONS = 10_000
MAX_CACHED_SESSION_BYTES = 32 * 1024 * 1024
INTERNAL_ERROR = "internal-error"


class SessionCache:
    """Births of devices as they were read last. Those that were used longest ago are forgotten first."""

    def __init__(self, most: int = MAX_CACHED_SESSIONS, most_bytes: int = MAX_CACHED_SESSION_BYTES) -> None:
        self._most, self._most_bytes = most, most_bytes
        self._known: OrderedDict[SessionKey, KnownSessions] = OrderedDict()
        self._read_until: dict[SessionKey, datetime] = {}
        self.size = 0

    def __len__(self) -> int:
        return len(self._known)

    def get(self, key: SessionKey) -> KnownSessions:
        """What is known of a device; NO_BIRTHS for nothing."""
        if key not in self._known:
            return NO_BIRTHS
        self._known.move_to_end(key)
        return self._known[key]

    def put(self, key: SessionKey, known: KnownSessions) -> None:
        """Keep what is known of a device, as far as there is room."""
        read_until = self._read_until.get(key)
        self.drop(key)
        self._known[key] = known
        self.size += _size(known)
        if read_until is not None:
            self._read_until[key] = read_until
        while len(self._known) > self._most or self.size > self._most_bytes:
            self.drop(next(iter(self._known)))

    def note_read(self, key: SessionKey, arrival: datetime) -> None:
        """A frame that arrived then was read by what is known of a device."""
        if key in self._known:
            self._read_until[key] = max(arrival, self._read_until.get(key, arrival))

    def is_late(self, key: SessionKey, found: KnownSessions) -> bool:
        """Whether the newest frame that was read would be of another session, by what is found now."""
        if (arrival := self._read_until.get(key)) is None:
            return False
        before, now = (session_at(one.births, arrival, arrival) for one in (self.get(key), found))
        return before != now

    def drop(self, key: SessionKey) -> None:
        """Forget a device."""
        self._read_until.pop(key, None)
        if (known := self._known.pop(key, None)) is not None:
            self.size -= _size(known)


class Sessions:
    """Reads batches with their sessions. One per ingest process. takes: whether anything is kept of a device. begun:
    counts births that begin a session, by type; late: those of other processes that came when later frames had been
    read by the birth before."""

    def __init__(
        self,
        collection: AsyncCollection[Document],
        reader: Reader,
        *,
        takes: Callable[[str], bool],
        on_retry: Callable[[Exception], None],
        begun: Counter,
        late: Counter,
    ) -> None:
        self.collection = collection
        self.cache = SessionCache()
        self._reader = reader
        self._takes = takes
        self._on_retry = on_retry
        self._begun = begun
        self._late = late
        self._turn = asyncio.Lock()
        self._any = any(datatype.sessions for datatype in reader.registry)

    async def read(self, arrivals: list[Arrival]) -> list[FrameReading]:
        """The readings in frames, in order. Births in them are stored when this returns."""
        keys = {arrival: key for arrival in arrivals if (key := self._key(arrival)) is not None} if self._any else {}
        if not keys:
            return [item for arrival in arrivals for item in self._reader.read(arrival)]
        async with self._turn:
            try:
                book = BirthBook(await until_written(partial(self._look_up, {*keys.values()}), on_retry=self._on_retry))
            except Exception as error:
                log.exception("the sessions of %d devices could not be read", len({*keys.values()}))
                book = BirthBook()
                _reject(keys, error)
            found = [item for arrival in arrivals for item in self._reader.read(arrival, book)]
            failed = await self._keep(book)
            for arrival, key in keys.items():
                self.cache.note_read(key, arrival.received_at)
        if failed:
            for arrival, key in keys.items():
                if key in failed:
                    _reject([arrival], failed[key])
            found = [item for item in found if keys.get(item.arrival) not in failed]
        return found

    def _key(self, arrival: Arrival) -> SessionKey | None:
        """Whose session a frame is of; None if its type has none."""
        datatype, device = arrival.datatype, arrival.device
        if datatype is None:
            match = self._reader.registry.match_topic(arrival.topic)
            if match is None:
                return None
            datatype, device = match.datatype, match.claim.device
        return SessionKey(datatype.name, device) if datatype.sessions and device is not None else None

    async def _look_up(self, keys: set[SessionKey]) -> dict[SessionKey, KnownSessions]:
        """The births of devices as they are stored now: those that another process changed are read again."""
        revisions = await read_revisions(self.collection, keys)
        known = {key: self.cache.get(key) for key in keys}
        changed = [key for key, revision in revisions.items() if known[key].revision != revision]
        for key in keys - revisions.keys():  # the device was forgotten
            self.cache.drop(key)
            known[key] = NO_BIRTHS
        if changed:
            for key, found in (await read_sessions(self.collection, changed)).items():
                if self.cache.is_late(key, found):
                    self._late.labels(key.type_name).inc()
                    log.warning("frames of %a were read before another process stored their birth", key.device_id)
                self.cache.put(key, found)
                known[key] = found
        return known

    async def _keep(self, book: BirthBook) -> dict[SessionKey, Exception]:
        """Store the births of a batch. Returns the devices of which that failed for a reason that nobody foresaw."""
        failed: dict[SessionKey, Exception] = {}
        for key, new in book.new.items():
            if not self._takes(key.device_id):
                continue
            write = partial(add_births, self.collection, key, new, book.known.get(key, NO_BIRTHS))
            try:
                self.cache.put(key, await until_written(write, on_retry=self._on_retry))
                self._begun.labels(key.type_name).inc(len(new))
            except Exception as error:
                log.exception("a session of %a could not be stored", key.device_id)
                failed[key] = error
        return failed


def _size(known: KnownSessions) -> int:
    return sum(map(len, {birth.text for birth in known.births}))


def _reject(arrivals: Iterable[Arrival], error: Exception) -> None:
    for arrival in arrivals:
        arrival.rejected = INTERNAL_ERROR
        arrival.detail = f"{type(error).__name__}: {error}"[:200]
