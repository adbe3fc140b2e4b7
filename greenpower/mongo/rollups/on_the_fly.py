"""The tail of a tier: the buckets that its job has not done yet, made from finer ones and from readings, not stored.

The same functions make them that make the stored ones, so a tail becomes what it shows once the job has come by.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.measure.bucket import Bucket, by_window, merge_buckets
from greenpower.measure.counter.dip_filter import BEFORE
from greenpower.measure.grace import done_before
from greenpower.measure.series import roll
from greenpower.measure.spec import NO_WORDS, Spec
from greenpower.measure.window import floor
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.field_kinds import Catalogue
from greenpower.mongo.rollups.incidents import Words, read_words
from greenpower.mongo.rollups.source import BUCKET, READING, any_before, by_device, count_within, newest_before
from greenpower.mongo.rollups.tier_view import Shelf
from greenpower.mongo.rollups.watermarks import EPOCH
from greenpower.mongo.schema.layout import CATALOGUE, INCIDENTS

# Readings and buckets that one tail may be made of. With more, the rollups are so far behind that it is left out.
MOST = 30_000

Found = dict[str, list[Document]]


class Tail:
    """Makes tails for one question. Raises PyMongoError."""

    def __init__(self, db: Database[Document], datatype: DataType, shelves: Sequence[Shelf], now: datetime) -> None:
        self.db = db
        self.datatype = datatype
        self.shelves = shelves
        self.now = now
        self._spec: Spec | None = None
        self._words: Words = {}
        self._catalogue: Catalogue | None = None

    def make(
        self, shelf: Shelf, begin: datetime, end: datetime, devices: Sequence[str] | None
    ) -> list[Document] | None:
        """The buckets of a tier from `begin`, where its done windows end, to those that start before `end`.

        In order of time and device, without `_id`, none of them final. devices: None for all. None where it would take
        too much to make them.
        """
        self._prepare()
        assert shelf.window is not None
        limit = floor(end, shelf.window) + timedelta(seconds=shelf.window)
        made = self._build(list(self.shelves).index(shelf), begin, limit, devices)
        if made is None:
            return None
        rows = [{**document, "final": False} for documents in made.values() for document in documents]
        rows.sort(key=lambda document: (document["timestamp"], document["device_id"]))
        return rows

    def _prepare(self) -> None:
        if self._spec is not None:
            return
        self._catalogue = Catalogue(self.db[CATALOGUE], self.datatype.name)
        declared = Spec.of(self.datatype)
        self._spec = Spec.of(self.datatype, self._catalogue.changed(declared.kinds))
        self._words = read_words(self.db[INCIDENTS], self.datatype.name) if declared.counters else {}

    def _build(self, level: int, begin: datetime, end: datetime, devices: Sequence[str] | None) -> Found | None:
        shelf = self.shelves[level]
        if shelf.window is None:
            return None
        done = min(end, shelf.done_until or EPOCH)
        found: Found = {}
        if begin < done:
            if self._too_many(shelf, begin, done, devices):
                return None
            found = by_device(self.db[shelf.collection], begin, done, devices, BUCKET)
            begin = done
        if begin >= end:
            return found
        source = self._below(level, begin)
        if self.shelves[source].window is None:
            made = self._roll(self.shelves[source], begin, end, shelf.window, devices)
        else:
            finer = self._build(source, begin, end, devices)
            made = None if finer is None else self._merge(finer, shelf.window)
        if made is None:
            return None
        for device, documents in made.items():
            found.setdefault(device, []).extend(documents)
        return found

    def _below(self, level: int, begin: datetime) -> int:
        """The coarsest finer shelf that is whole from a time on; readings where none is."""
        return next((index for index in range(level - 1, 0, -1) if self.shelves[index].whole_from <= begin), 0)

    def _too_many(self, shelf: Shelf, begin: datetime, end: datetime, devices: Sequence[str] | None) -> bool:
        if devices is None:
            return count_within(self.db[shelf.collection], begin, end, MOST + 1) > MOST
        query = {"device_id": {"$in": list(devices)}, "timestamp": {"$gte": begin, "$lt": end}}
        return self.db[shelf.collection].count_documents(query, limit=MOST + 1) > MOST

    def _merge(self, finer: Found, window: int) -> Found:
        assert self._spec is not None
        return {
            device: [
                _document(device, merge_buckets(parts, start, self._spec, self._words.get(device, NO_WORDS)))
                for start, parts in by_window(documents, window).items()
            ]
            for device, documents in finer.items()
        }

    def _roll(
        self, shelf: Shelf, begin: datetime, end: datetime, window: int, devices: Sequence[str] | None
    ) -> Found | None:
        assert self._spec is not None and self._catalogue is not None
        if self._too_many(shelf, begin, end, devices):
            return None
        readings = self.db[shelf.collection]
        found = by_device(readings, begin, end, devices, READING)
        before: Mapping[str, list[Document]] = {}
        if self._spec.counters and found and any_before(readings, begin):
            before = dict(newest_before(readings, list(found), begin, BEFORE))
        made: Found = {}
        for device, inside in found.items():
            documents = [*before.get(device, ()), *inside]
            rolled = roll(
                [document["timestamp"] for document in documents],
                [document["payload"] for document in documents],
                begin=begin,
                end=end,
                length=window,
                spec=self._spec,
                settled_before=done_before(self.now, None),
                words=self._words.get(device, NO_WORDS),
                extra=self._catalogue.let_in(device) if self.datatype.open else frozenset(),
            )
            made[device] = [_document(device, bucket) for bucket in rolled.buckets]
        return made


def _document(device: str, bucket: Bucket) -> Document:
    return {
        "device_id": device,
        "timestamp": bucket.start,
        "payload": bucket.payload,
        "stats": bucket.stats,
        "coverage": {"count": bucket.count, "first": bucket.first, "last": bucket.last},
        "final": bucket.settled,
    }
