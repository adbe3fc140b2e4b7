"""A walk over what archive and MongoDB have of a span within an archived month, in order of time and device.

What belongs here: putting the two in one order, and one reading of two. What does not: filters and limits
(`greenpower.archive.cursor`).
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby
from typing import NamedTuple

from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from greenpower.archive.errors import ArchiveChangedError
from greenpower.archive.read import SAFE_READ_SECONDS, ArchiveView
from greenpower.datatype import DataType
from greenpower.mongo.client import Document


class WalkEntry(NamedTuple):
    """A reading before it is read. key: its device and time. place: in the archive, None if it is not there. held: what
    MongoDB has of it."""

    key: Document
    place: int | None
    held: Document | None


class Walk:
    """The readings of some devices (None: all) in a span. fields: whose values are read; None for all. keys_only:
    `documents` will not be asked.

    Raises PyMongoError, ArchiveFileError, ArchiveChangedError.
    """

    def __init__(
        self,
        view: ArchiveView,
        datatype: DataType,
        held: Collection[Document],
        devices: Sequence[str] | None,
        span: tuple[datetime, datetime],
        *,
        fields: Sequence[str] | None,
        newest_first: bool,
        keys_only: bool = False,
    ) -> None:
        self._view = view
        self._datatype = datatype
        self._span = span
        self._began, self._known = time.monotonic(), view.generations(datatype.name, *span)
        self._newest_first = newest_first
        self._fields = None if fields is None else set(fields)
        query: Document = {"timestamp": {"$gte": span[0], "$lt": span[1]}}
        if devices is not None:
            query["device_id"] = devices[0] if len(devices) == 1 else {"$in": list(devices)}
        shown = {"_id": 0, "device_id": 1, "timestamp": 1} if keys_only else None
        self._held = held.find(query, shown).sort("timestamp", DESCENDING if newest_first else ASCENDING)
        self._archived = view.ordered(datatype.name, devices, *span, fields=fields, newest_first=newest_first)

    def entries(self) -> Iterator[WalkEntry]:
        """All readings, in order."""
        held = self._held_in_order()
        mine = next(held, None)
        if self._archived is not None:
            for place, (at, device) in enumerate(self._archived.keys()):
                while mine is not None and self._is_before((mine["timestamp"], mine["device_id"]), (at, device)):
                    yield WalkEntry(mine, None, mine)
                    mine = next(held, None)
                key = {"device_id": device, "timestamp": at}
                if mine is not None and mine["timestamp"] == at and mine["device_id"] == device:
                    yield WalkEntry(key, place, mine)
                    mine = next(held, None)
                else:
                    yield WalkEntry(key, place, None)
        while mine is not None:
            yield WalkEntry(mine, None, mine)
            mine = next(held, None)
        self._check()

    def documents(self, entries: Sequence[WalkEntry]) -> list[Document]:
        """The readings of some entries, each as MongoDB held it."""
        places = [entry.place for entry in entries if entry.place is not None]
        archived = iter(() if self._archived is None else self._archived.documents(places))
        self._check()
        found = []
        for entry in entries:
            if entry.place is None:
                assert entry.held is not None
                found.append(entry.held)
            else:
                document = next(archived)
                found.append(document if entry.held is None else _merged(document, entry.held))
        return found

    def _is_before(self, one: tuple[datetime, str], two: tuple[datetime, str]) -> bool:
        return one > two if self._newest_first else one < two

    def _held_in_order(self) -> Iterator[Document]:
        """What MongoDB has; it leaves open how equal times are ordered."""
        for _, several in groupby(self._held, lambda document: document["timestamp"]):
            for document in sorted(several, key=lambda one: one["device_id"], reverse=self._newest_first):
                if self._fields is not None and "payload" in document:
                    payload = document["payload"]
                    document["payload"] = {name: payload[name] for name in payload if name in self._fields}
                yield document

    def _check(self) -> None:
        if time.monotonic() - self._began > SAFE_READ_SECONDS:
            self._view.refresh(now=True)
            if self._view.generations(self._datatype.name, *self._span) != self._known:
                raise ArchiveChangedError("readings were archived while they were read: ask again")


def _merged(archived: Document, held: Document) -> Document:
    from greenpower.archive.join import merge_pair

    return merge_pair(archived, held)
