"""Rewriting documents of the ledger in the order of `as_of`, however many processes do it at once.

A document is read, changed, and written back only if it is still the one that was read; if not, it is read again. What
a newer run has written is never changed; documents that are made from others have no such order. What belongs here:
that protocol, for both collections. What does not: what is changed (`greenpower.mongo.energy.ledger`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from pymongo import DeleteOne, InsertOne, ReplaceOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document

DOCUMENTS_PER_REWRITE = 1_000
# Processes that write one document at once: each round at least one of them gets through.
MAX_REWRITE_ATTEMPTS = 5

# A document's device, field and time: the start of its day or month.
LedgerKey = tuple[str, str, datetime]
# From a key and its document, None where there is none, to the new one: None for none, `UNCHANGED` to leave it.
Change = Callable[[LedgerKey, Document | None], Document | None]
UNCHANGED: Document = {}


class Rewriter:
    """Rewrites documents of one type in one collection. time: `day` or `month`, the last key of the unique index.

    as_of: of the run that writes; or a function that gives a later time with each call, for documents that are made
    from others: then whoever writes last is not refused.
    """

    def __init__(
        self, collection: Collection[Document], type_name: str, time: str, as_of: datetime | Callable[[], datetime]
    ) -> None:
        self.collection = collection
        self.type_name = type_name
        self.time = time
        self.take_as_of: Callable[[], datetime] = (lambda: as_of) if isinstance(as_of, datetime) else as_of

    def rewrite(self, keys: Sequence[LedgerKey], change: Change) -> set[LedgerKey]:
        """Change the documents of some keys. Returns the keys that a newer run holds, and those that other processes
        went on changing meanwhile: neither was written.

        change: may be called again for a key; it must depend on nothing but the document. Raises PyMongoError; doing it
        again is safe.
        """
        refused: set[LedgerKey] = set()
        for first in range(0, len(keys), DOCUMENTS_PER_REWRITE):
            refused |= self._rewrite(keys[first : first + DOCUMENTS_PER_REWRITE], change)
        return refused

    def _rewrite(self, keys: Sequence[LedgerKey], change: Change) -> set[LedgerKey]:
        refused: set[LedgerKey] = set()
        left = keys
        written: set[LedgerKey] = set()
        ours: set[datetime] = set()
        for _ in range(MAX_REWRITE_ATTEMPTS):
            found = {self._key(document): document for document in self.read(left)}
            as_of = self.take_as_of()
            operations: list[InsertOne[Document] | ReplaceOne[Document] | DeleteOne] = []
            tried: list[LedgerKey] = []
            for key in left:
                document = found.get(key)
                if document is not None and key in written and document["as_of"] in ours:
                    continue  # it was another document of the batch that failed
                changed = change(key, document)
                if changed is UNCHANGED or (changed is None and document is None):
                    continue
                if document is not None and document["as_of"] > as_of:
                    refused.add(key)
                    continue
                operations.append(self._operation(key, document, changed, as_of))
                tried.append(key)
            if not operations or self._write(operations):
                return refused
            left = tried
            written.update(tried)
            ours.add(as_of)
        return refused | set(left)

    def _operation(
        self, key: LedgerKey, document: Document | None, changed: Document | None, as_of: datetime
    ) -> InsertOne[Document] | ReplaceOne[Document] | DeleteOne:
        place = self._place(key)
        if changed is not None:
            changed = {**place, **changed, "as_of": as_of}
        if document is None:
            assert changed is not None
            return InsertOne(changed)
        read = {**place, "as_of": document["as_of"]}
        return DeleteOne(read) if changed is None else ReplaceOne(read, changed)

    def _place(self, key: LedgerKey) -> Document:
        device, field, time = key
        return {"type": self.type_name, "device_id": device, "field": field, self.time: time}

    def _write(self, operations: Sequence[Any]) -> bool:
        """Whether every operation found what it was made for."""
        try:
            done = self.collection.bulk_write(operations, ordered=False)
        except BulkWriteError as error:
            read_duplicates(error)
            return False
        return done.inserted_count + done.matched_count + done.deleted_count == len(operations)

    def _key(self, document: Document) -> LedgerKey:
        return document["device_id"], document["field"], document[self.time]

    def read(self, keys: Iterable[LedgerKey]) -> Iterator[Document]:
        """The documents of some keys that are there."""
        for query in key_queries(self.type_name, self.time, keys):
            yield from self.collection.find(query, batch_size=DOCUMENTS_PER_REWRITE)


def key_queries(type_name: str, time_key: str, keys: Iterable[LedgerKey]) -> Iterator[Document]:
    """Queries that find the documents of some keys and nothing else: devices with the same fields and times at once.

    time_key: `day` or `month`.
    """
    wanted: defaultdict[str, defaultdict[datetime, set[str]]] = defaultdict(lambda: defaultdict(set))
    for device, field, time in keys:
        wanted[device][time].add(field)
    alike: defaultdict[tuple[frozenset[datetime], frozenset[str]], list[str]] = defaultdict(list)
    for device, fields_of in wanted.items():
        times_of: defaultdict[frozenset[str], set[datetime]] = defaultdict(set)
        for time, fields in fields_of.items():
            times_of[frozenset(fields)].add(time)
        for names, several in times_of.items():
            alike[frozenset(several), names].append(device)
    for (times, names), devices in alike.items():
        yield {
            "type": type_name,
            "device_id": {"$in": devices},
            "field": {"$in": list(names)},
            time_key: {"$in": list(times)},
        }
