"""Rows: a type's readings or buckets at one resolution, in pages by number or by position.

First come rows that are made for windows which the tier keeps no longer, then the stored ones, then those that are made
on the fly for windows that are not done yet. Rows are ordered by time and, where times tie, by device: that order is
total and stays the same when a row is stored at last.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from typing import Any

import pymongo
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.query import (
    COUNTED_AT_MOST,
    QUERY_SECONDS,
    Page,
    between,
    beyond,
    count,
    estimate,
    find_page,
    one_of,
)
from greenpower.mongo.rollups.on_the_fly import OnTheFly, Turn, at_once
from greenpower.mongo.rollups.past import REMEMBERED, past_stretch
from greenpower.mongo.rollups.tier_view import TierView
from greenpower.mongo.rollups.watermarks import EPOCH

Position = tuple[datetime, str]
ORDER = {"by": "timestamp", "tie": "device_id"}
TICK = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RowQuery:
    """Which rows are asked for, both ends inclusive. devices: empty for all. after: only those behind this position."""

    start: datetime | None
    end: datetime | None
    devices: Sequence[str]
    ascending: bool
    after: Position | None = None


class Rows:
    """The rows of one tier view that a query asks for. zone: of devices without one of their own. turn: waits until
    costly work may begin.

    too_far_behind: it would take too much to make rows on the fly, so the provisional ones that are stored are shown.
    """

    def __init__(
        self,
        db: Database[Document],
        datatype: DataType,
        tier_views: Sequence[TierView],
        tier_view: TierView,
        query: RowQuery,
        now: datetime,
        *,
        zone: tzinfo,
        turn: Turn = at_once,
    ) -> None:
        self.db = db
        self.tier_view = tier_view
        self.query = query
        self.now = now
        self.stored = db[tier_view.collection]
        self._on_the_fly: list[Document] | None = None
        self._past: list[Document] | None = None
        self._past_stretch = past_stretch(tier_views, tier_view, query.start, query.end)
        self.too_far_behind = False
        self._goes_on = query.after is not None
        self._maker = OnTheFly(db, datatype, tier_views, now, zone=zone, turn=turn)
        asked = query
        self.on_the_fly_from = None if tier_view.window is None else tier_view.done_until or asked.start or EPOCH
        if self.on_the_fly_from is not None and asked.end is not None and asked.end < self.on_the_fly_from:
            self.on_the_fly_from = None

    def where(self) -> Document:
        """The filter of the stored rows that are shown."""
        asked = self.query
        self.past()
        start = asked.start if self._past_stretch is None else self._past_stretch[1]
        end = asked.end
        if self.on_the_fly_from is not None:
            last = self.on_the_fly_from - TICK
            end = last if end is None else min(end, last)
        where = {**one_of("device_id", asked.devices), **between("timestamp", start, end)}
        if asked.after is not None:
            where = {"$and": [where, beyond(asked.after, ascending=asked.ascending, **ORDER)]}
        return where

    def on_the_fly(self) -> list[Document]:
        """The rows that are computed, in order. Those that a job has stored provisionally have their `_id`."""
        if self._on_the_fly is None:
            self._on_the_fly = self._make_on_the_fly()
        return self._on_the_fly

    def _make_on_the_fly(self) -> list[Document]:
        if self.on_the_fly_from is None or self.tier_view.window is None:
            return []
        asked = self.query
        begin = self.on_the_fly_from
        # The first windows that are asked for, not the first that there are.
        if asked.start is not None and asked.start > begin:
            window = timedelta(seconds=self.tier_view.window)
            begin += (asked.start - begin) // window * window
        end = self.now + timedelta(days=1) if asked.end is None else asked.end
        devices = list(asked.devices) or None
        rows = self._maker.make(self.tier_view, begin, end, devices)
        if rows is None:
            self.on_the_fly_from, self.too_far_behind = None, True
            return []
        known = {}
        if rows:
            with pymongo.timeout(QUERY_SECONDS):
                query = {**one_of("device_id", asked.devices), "timestamp": {"$gte": rows[0]["timestamp"]}}
                for document in self.stored.find(query, {"device_id": 1, "timestamp": 1}):
                    known[document["device_id"], document["timestamp"]] = document["_id"]
        return [{"_id": known.get((row["device_id"], row["timestamp"])), **row} for row in self._wanted(rows)]

    def past(self) -> list[Document]:
        """The rows of windows that the tier keeps no longer, in order; they have no `_id`."""
        if self._past is None:
            self._past = [{"_id": None, **row} for row in self._wanted(self._make_past())]
        return self._past

    def _make_past(self) -> list[Document]:
        if self._past_stretch is None:
            return []
        begin, end = self._past_stretch
        devices = list(self.query.devices) or None
        key = (self.db, self.tier_view.collection, begin, end, tuple(self.query.devices))
        rows = REMEMBERED.get(key) if self._goes_on else None
        if rows is None:
            rows = self._maker.make_past(self.tier_view, begin, end, devices)
            if rows is None:
                # Too much: only what is still stored is shown.
                self._past_stretch = None
                return []
            REMEMBERED.put(key, rows)
        return rows

    def _wanted(self, rows: Sequence[Document]) -> Iterator[Document]:
        """Those of made rows that are asked for, in order."""
        asked = self.query
        for row in rows if asked.ascending else reversed(rows):
            place = (row["timestamp"], row["device_id"])
            if asked.start is not None and place[0] < asked.start:
                continue
            if asked.end is not None and place[0] > asked.end:
                continue
            if asked.after is not None and (place <= asked.after if asked.ascending else place >= asked.after):
                continue
            yield row

    def page(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        """Rows `skip` to `skip + limit`. Raises PyMongoError."""
        self._goes_on = skip > 0 or self.query.after is not None
        past = self.past()
        if not past:
            return self._kept(skip, limit, projection)
        return (
            self._after_past(past, skip, limit, projection)
            if self.query.ascending
            else self._before_past(past, skip, limit, projection)
        )

    def _after_past(self, past: list[Document], skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        rows = past[skip : skip + limit]
        if len(rows) == limit:
            more = len(past) > skip + limit or bool(self._kept(0, 1, {"timestamp": 1, "device_id": 1}).documents)
            return Page(documents=rows, more=more)
        page = self._kept(max(0, skip - len(past)), limit - len(rows), projection)
        return Page(documents=rows + page.documents, more=page.more)

    def _before_past(self, past: list[Document], skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        page = self._kept(skip, limit, projection)
        if page.more:
            return page
        over = 0
        if not page.documents and skip:
            over = max(0, skip - self._count_kept(exact=True))
        there = over + limit - len(page.documents)
        return Page(documents=page.documents + past[over:there], more=len(past) > there)

    def _kept(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        """A page of all rows but the past ones."""
        return self._onward(skip, limit, projection) if self.query.ascending else self._back(skip, limit, projection)

    def _find(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        return find_page(
            self.stored,
            self.where(),
            ascending=self.query.ascending,
            skip=skip,
            limit=limit,
            projection=projection,
            **ORDER,
        )

    def _onward(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        page = self._find(skip, limit, projection)
        if page.more or self.on_the_fly_from is None:
            return page
        made = self.on_the_fly()
        if self.too_far_behind:
            return self._find(skip, limit, projection)
        over = 0
        if not page.documents and skip:
            over = max(0, skip - count(self.stored, self.where()))
        there = over + limit - len(page.documents)
        return Page(documents=page.documents + made[over:there], more=len(made) > there)

    def _back(self, skip: int, limit: int, projection: Mapping[str, Any]) -> Page:
        made = self.on_the_fly()
        rows = made[skip : skip + limit]
        if len(rows) == limit:
            more = len(made) > skip + limit or bool(self._find(0, 1, {"timestamp": 1, "device_id": 1}).documents)
            return Page(documents=rows, more=more)
        page = self._find(max(0, skip - len(made)), limit - len(rows), projection)
        return Page(documents=rows + page.documents, more=page.more)

    def count(self, *, exact: bool, page: Page | None = None, skip: int = 0) -> int:
        """How many rows there are, counted up to `COUNTED_AT_MOST`, or about how many.

        page: one that was read, behind `skip` rows: the last one tells by itself how many there are.
        """
        if page is not None and not page.more and (page.documents or not skip):
            return skip + len(page.documents)
        past = len(self.past())
        kept = self._count_kept(exact=exact)
        return min(past + kept, COUNTED_AT_MOST) if exact and past else past + kept

    def _count_kept(self, *, exact: bool) -> int:
        made = len(self.on_the_fly())
        where = self.where()
        stored = count(self.stored, where) if exact else estimate(self.stored, where, by="timestamp")
        return min(stored + made, COUNTED_AT_MOST) if exact and where else stored + made
