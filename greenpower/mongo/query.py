"""Read queries of the API: pages in a total order, and counts, all of bounded cost.

What belongs here: how a page is found. What does not: parameters and links (`greenpower.api.http.paging`), writes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import pymongo
from pymongo import ASCENDING, DESCENDING
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import FederatedReadings

# The longest time for a query, with connecting.
QUERY_SECONDS = 5.0
# Counts and page numbers stop here: both walk over what they count or skip.
COUNTED_AT_MOST = 100_000
ESTIMATED_FROM = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """A page of a list. more: whether there is a next one."""

    documents: list[Document]
    more: bool


def between(key: str, start: datetime | None, end: datetime | None) -> Document:
    """A filter on a time, both ends inclusive; empty where neither is given."""
    limits: Document = {}
    if start is not None:
        limits["$gte"] = start
    if end is not None:
        limits["$lte"] = end
    return {key: limits} if limits else {}


def one_of(key: str, values: Sequence[str]) -> Document:
    """A filter on equality with one of some strings; empty where there are none."""
    if not values:
        return {}
    return {key: values[0] if len(values) == 1 else {"$in": list(values)}}


def end_of(collections: Sequence[Collection[Document]], where: Document, *, by: str, now: datetime) -> datetime:
    """The end of a range that was left open, in milliseconds: now, or the time of the newest match if that is later.

    It is later where the clock of a device, or that of another host, is ahead. Raises PyMongoError.
    """
    end = now.replace(microsecond=now.microsecond // 1000 * 1000)
    with pymongo.timeout(QUERY_SECONDS):
        for collection in collections:
            newest = collection.find_one(where, {by: 1, "_id": 0}, sort=[(by, DESCENDING)])
            end = end if newest is None else max(end, newest[by])
    return end


def beyond(position: tuple[datetime, Any], *, by: str, tie: str, ascending: bool) -> Document:
    """A filter on what comes after a position in the order of `find_page`: the values of `by` and of `tie` there."""
    side = "$gt" if ascending else "$lt"
    time, value = position
    return {by: {f"{side}e": time}, "$or": [{by: {side: time}}, {tie: {side: value}}]}


def find_page(
    collection: Collection[Document],
    where: Document,
    *,
    by: str,
    ascending: bool,
    skip: int,
    limit: int,
    projection: Mapping[str, Any],
    tie: str = "_id",
) -> Page:
    """Documents `skip` to `skip + limit` of those that match, ordered by the time `by` and, where times tie, by `tie`.

    An index on the time does not order ties, and sorting in memory would read everything that matches. So the page is
    read in the order of the index, where only ties are undecided. If a tie crosses an edge of the page, the page's span
    of time is read again and sorted. Raises PyMongoError; its `timeout` is true if the query took too long.
    """
    direction = ASCENDING if ascending else DESCENDING
    with pymongo.timeout(QUERY_SECONDS):
        lead = 1 if skip else 0
        cursor = collection.find(where, projection).sort(by, direction).skip(skip - lead).limit(lead + limit + 1)
        found = cursor.to_list()
        documents = found[lead : lead + limit]
        more = len(found) > lead + limit
        if not documents:
            return Page(documents=[], more=False)
        first, last = documents[0][by], documents[-1][by]
        cut_before = lead == 1 and found[0][by] == first
        if cut_before or (more and found[-1][by] == last):
            offset = 0
            if cut_before:
                earlier = {"$and": [where, {by: {"$lt" if ascending else "$gt": first}}]}
                offset = skip - collection.count_documents(earlier, limit=skip)
            span = {"$and": [where, between(by, min(first, last), max(first, last))]}
            order = [(by, direction), (tie, direction)]
            documents = collection.find(span, projection).sort(order).skip(offset).limit(limit).to_list()
        else:
            documents.sort(key=lambda document: (document[by], document[tie]), reverse=not ascending)
        return Page(documents=documents, more=more)


def count(collection: Collection[Document], where: Document, limit: int | None = None) -> int:
    """How many documents match, counted up to `limit` (`COUNTED_AT_MOST`); without a filter an estimate."""
    with pymongo.timeout(QUERY_SECONDS):
        if not where:
            return collection.estimated_document_count()
        # The command counts index keys alone where it can; `count_documents` is an aggregation and always reads them.
        limit = COUNTED_AT_MOST if limit is None else limit
        if isinstance(collection, FederatedReadings):
            return collection.count_matching(where, limit)
        return int(collection.database.command("count", collection.name, query=where, limit=limit)["n"])


def estimate(collection: Collection[Document], where: Document, *, by: str) -> int:
    """About how many documents match: exact up to `ESTIMATED_FROM`, else extrapolated from their times.

    The cost does not grow with the number of documents.
    """
    found = count(collection, where, ESTIMATED_FROM + 1)
    if not where or found <= ESTIMATED_FROM:
        return found
    times = {by: 1, "_id": 0}
    with pymongo.timeout(QUERY_SECONDS):
        first = collection.find_one(where, times, sort=[(by, ASCENDING)])
        there = collection.find_one(where, times, sort=[(by, ASCENDING)], skip=ESTIMATED_FROM)
        last = collection.find_one(where, times, sort=[(by, DESCENDING)])
    if first is None or there is None or last is None or there[by] <= first[by]:
        return found
    share: float = (last[by] - first[by]) / (there[by] - first[by])
    return max(found, round(ESTIMATED_FROM * share))
