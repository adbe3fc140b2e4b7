"""Unfinished work: spans of a type whose readings are being stored or computed, so that no answer calls them final.

What stores readings first and has them computed afterwards (the demonstration, an import, a replay) notes the span
before the first of them is stored, and removes the note once all of it is computed, or invalidated. A backfill notes
what it has still to compute. A note outlives a kill: one that nobody has renewed for a while is taken over by the
rollups (`greenpower.rollups.take_over`).

Notes are kept beside the invalidations, which a backup copies after the readings: {_id: "type//key", type, prefix: "",
devices, begin, end, work, token, since, updated_at}. What belongs here: writing, renewing and reading them. What does
not: single hours (`invalidations`), what answers make of them (`greenpower.mongo.energy.pending`).
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from bson import ObjectId
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

from greenpower.mongo.client import Document

NO_PREFIX = ""
#: a note with more devices is one of all
MAX_NOTED_DEVICES = 1_000
#: renewed notes are told from those of processes that are gone; far longer than any of their steps
ABANDONED_AFTER = timedelta(minutes=15)
RENEWED_EVERY = timedelta(minutes=1)


class Work(StrEnum):
    """What is under way."""

    DEMO = "demo"
    BACKFILL = "backfill"
    IMPORT = "import"
    REPLAY = "replay"


@dataclass(frozen=True, slots=True, kw_only=True)
class Unfinished:
    """A span of a type with work under way. devices: None for all. token: changes whenever it is changed."""

    key: str
    type: str
    work: Work
    devices: tuple[str, ...] | None
    begin: datetime
    end: datetime
    token: ObjectId
    updated_at: datetime

    @classmethod
    def of(
        cls, type_name: str, work: Work, begin: datetime, end: datetime, devices: AnyOf[str] | None = None
    ) -> Unfinished:
        """A new one. devices: None for all."""
        few = devices is not None and len(devices) <= MAX_NOTED_DEVICES
        return cls(
            key=f"{type_name}//{work}-{ObjectId()}",
            type=type_name,
            work=work,
            devices=tuple(sorted(devices)) if devices is not None and few else None,
            begin=begin,
            end=end,
            token=ObjectId(),
            updated_at=datetime.now(UTC),
        )

    @classmethod
    def read(cls, document: Document) -> Unfinished:
        """That of a document."""
        devices = document["devices"]
        return cls(
            key=document["_id"],
            type=document["type"],
            work=Work(document["work"]),
            devices=None if devices is None else tuple(devices),
            begin=document["begin"],
            end=document["end"],
            token=document["token"],
            updated_at=document["updated_at"],
        )

    def concerns(self, device: str) -> bool:
        """Whether it is about a device, too."""
        return self.devices is None or device in self.devices

    def document(self) -> Document:
        """As it is stored."""
        return {
            "_id": self.key,
            "type": self.type,
            "prefix": NO_PREFIX,
            "devices": None if self.devices is None else list(self.devices),
            "begin": self.begin,
            "end": self.end,
            "work": self.work.value,
            "token": self.token,
            "since": self.updated_at,
            "updated_at": self.updated_at,
        }


def is_unfinished(type_name: str) -> Document:
    """The condition for the `_id` of a type's notes. "0" follows "/"."""
    return {"$gte": f"{type_name}//", "$lt": f"{type_name}/0"}


def read_unfinished(collection: Collection[Document], type_name: str) -> list[Unfinished]:
    """The notes of a type. Raises PyMongoError."""
    return [Unfinished.read(document) for document in collection.find({"_id": is_unfinished(type_name)})]


def shorten(collection: Collection[Document], item: Unfinished, begin: datetime) -> None:
    """Let a note begin later, or remove it where nothing is left; not if it was changed meanwhile. Raises
    PyMongoError."""
    query = {"_id": item.key, "token": item.token}
    if begin >= item.end:
        collection.delete_one(query)
    else:
        collection.update_one(query, {"$set": {"begin": begin}})


def remove_work(collection: Collection[Document], type_name: str, work: Work) -> None:
    """Remove the notes of one kind of work. Raises PyMongoError."""
    collection.delete_many({"_id": is_unfinished(type_name), "work": work.value})


class Renewal:
    """Keeps a note from being taken for one of a process that is gone: called at each step of the work."""

    def __init__(self, collection: Collection[Document], item: Unfinished) -> None:
        self._collection = collection
        self._item = item
        self._renewed = item.updated_at

    def __call__(self, *_: Any) -> None:
        now = datetime.now(UTC)
        if now - self._renewed >= RENEWED_EVERY:
            self._renewed = now
            change = {"updated_at": now, "token": ObjectId()}
            self._collection.update_one({"_id": self._item.key}, {"$set": change})


@contextmanager
def unfinished(collection: Collection[Document], item: Unfinished) -> Iterator[Renewal]:
    """While readings of a span are stored and computed. The note stays where that fails or ends midway. Raises
    PyMongoError."""
    collection.insert_one(item.document())
    yield Renewal(collection, item)
    collection.delete_one({"_id": item.key})


async def note_async(collection: AsyncCollection[Document], item: Unfinished) -> None:
    """Note work, durably. Raises PyMongoError."""
    await collection.insert_one(item.document())


async def remove_async(collection: AsyncCollection[Document], item: Unfinished) -> None:
    """Remove a note whose work is done. Raises PyMongoError."""
    await collection.delete_one({"_id": item.key})
