"""Series: a type's rows at one resolution, stored ones and the tail together, in pages by number or by position.

Rows are ordered by time and, where times tie, by device: that order is total and stays the same when a row of the tail
is stored at last.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pymongo
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.query import (
    COUNTED_AT_MOST,
    SECONDS,
    Page,
    between,
    beyond,
    count,
    estimate,
    find_page,
    one_of,
)
from greenpower.mongo.rollups.on_the_fly import OnTheFly
from greenpower.mongo.rollups.tier_view import TierView
from greenpower.mongo.rollups.watermarks import EPOCH

Position = tuple[datetime, str]
ORDER = {"by": "timestamp", "tie": "device_id"}
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """Which rows, both ends inclusive. devices: empty for all. after: go on behind this position."""

    start: datetime | None
    end: datetime | None
    devices: Sequence[str]
    ascending: bool
    after: Position | None = None


class Series:
    """The rows of one shelf that a question asks for."""

    def __init__(
        self,
        db: Database[Document],
        datatype: DataType,
        tier_views: Sequence[TierView],
        tier_view: TierView,
        question: Question,
        now: datetime,
    ) -> None:
        self.db = db
        self.tier_view = tier_view
        self.question = question
        self.now = now
        self.stored = db[tier_view.collection]
        self._tail: list[Document] | None = None
        self.left_out = False
        self._maker = OnTheFly(db, datatype, tier_views, now)
        asked = question
        self.tail_from = None if tier_view.window is None else tier_view.done_until or asked.start or EPOCH
        if self.tail_from is not None and asked.end is not None and asked.end < self.tail_from:
            self.tail_from = None

    def where(self) -> Document:
        """The filter of the stored rows that are shown."""
        asked = self.question
        end = asked.end
        if self.tail_from is not None:
            last = self.tail_from - TICK
            end = last if end is None else min(end, last)
        where = {**one_of("device_id", asked.devices), **between("timestamp", asked.start, end)}
        if asked.after is not None:
            where = {"$and": [where, beyond(asked.after, ascending=asked.ascending, **ORDER)]}
        return where

    def tail(self) -> list[Document]:
        """The rows that are computed, in order. Those that a job has stored provisionally have their `_id`."""
        if self._tail is None:
            self._tail = self._make_tail()
        return self._tail

    def _make_tail(self) -> list[Document]:
        if self.tail_from is None or self.tier_view.window is None:
            return []
        asked = self.question
        begin = self.tail_from
        # The first windows that are asked for, not the first that there are.
        if asked.start is not None and asked.start > begin:
            begin += (
                (asked.start - begin)
                // timedelta(seconds=self.tier_view.window)
                * timedelta(seconds=self.tier_view.window)
            )
        end = self.now + timedelta(days=1) if asked.end is None else asked.end
        devices = list(asked.devices) or None
        with pymongo.timeout(SECONDS):
            rows = self._maker.make(self.tier_view, begin, end, devices)
            if rows is None:
                # Too far behind: what the job stored provisionally has to do.
                self.tail_from, self.left_out = None, True
                return []
            known = {}
            if rows:
                query = {**one_of("device_id", asked.devices), "timestamp": {"$gte": rows[0]["timestamp"]}}
                for document in self.stored.find(query, {"device_id": 1, "timestamp": 1}):
                    known[document["device_id"], document["timestamp"]] = document["_id"]
        wanted = []
        for row in rows if asked.ascending else reversed(rows):
            place = (row["timestamp"], row["device_id"])
            if asked.start is not None and place[0] < asked.start:
                continue
            if asked.end is not None and place[0] > asked.end:
                continue
            if asked.after is not None and (place <= asked.after if asked.ascending else place >= asked.after):
                continue
            wanted.append({"_id": known.get((place[1], place[0])), **row})
        return wanted

    def page(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        """Rows `skip` to `skip + limit`. Raises PyMongoError."""
        return self._onward(skip, limit, projection) if self.question.ascending else self._back(skip, limit, projection)

    def _find(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        return find_page(
            self.stored,
            self.where(),
            ascending=self.question.ascending,
            skip=skip,
            limit=limit,
            projection=projection,
            **ORDER,
        )

    def _onward(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        page = self._find(skip, limit, projection)
        if page.more or self.tail_from is None:
            return page
        tail = self.tail()
        if self.left_out:
            return self._find(skip, limit, projection)
        over = 0
        if not page.documents and skip:
            over = max(0, skip - count(self.stored, self.where()))
        there = over + limit - len(page.documents)
        return Page(documents=page.documents + tail[over:there], more=len(tail) > there)

    def _back(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        tail = self.tail()
        rows = tail[skip : skip + limit]
        if len(rows) == limit:
            more = len(tail) > skip + limit or bool(self._find(0, 1, {"timestamp": 1, "device_id": 1}).documents)
            return Page(documents=rows, more=more)
        page = self._find(max(0, skip - len(tail)), limit - len(rows), projection)
        return Page(documents=rows + page.documents, more=page.more)

    def count(self, *, exact: bool, page: Page | None = None, skip: int = 0) -> int:
        """How many rows there are, counted up to `COUNTED_AT_MOST`, or about how many.

        page: one that was read, behind `skip` rows: the last one tells by itself how many there are.
        """
        if page is not None and not page.more and (page.documents or not skip):
            return skip + len(page.documents)
        tail = len(self.tail())
        where = self.where()
        stored = count(self.stored, where) if exact else estimate(self.stored, where, by="timestamp")
        return min(stored + tail, COUNTED_AT_MOST) if exact and where else stored + tail
