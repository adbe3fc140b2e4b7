"""The telemetry database as somebody sees it who may see some devices only: the others look as if they did not exist.

What belongs here: how each collection says which device a document is of, and queries that leave out the others. What
does not: which devices those are (`greenpower.sql.visible_zones`), who asks (`greenpower.api.http.visible_devices`).

A query that cannot be limited raises NotVisibleError: no answer is better than one with too much in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NoReturn

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import ArchivedSpan, FederatedDatabase, FederatedReadings
from greenpower.mongo.schema.layout import (
    ADJUSTMENTS,
    ALARM_PROGRESS,
    CLOCKS,
    DEVICE_SETTINGS,
    EXCHANGES,
    FIELD_KINDS,
    INVALIDATION_READS,
    INVALIDATIONS,
    NOTIFICATIONS,
    OUTBOUND_POSITIONS,
    PROCESSES,
    PUSH_KEYS,
    RESTORES,
    SCHEMA,
    UPLOADS,
    WATERMARKS,
)

DEVICE = "device_id"
ROWS_AT_ONCE = 1_000
# Where the device is the name of the document.
NAMED_BY_DEVICE = frozenset({CLOCKS, DEVICE_SETTINGS})
# What the rollups note for themselves: no answer shows it.
NOTES = frozenset({WATERMARKS, FIELD_KINDS, INVALIDATIONS, INVALIDATION_READS, ADJUSTMENTS})
# What belongs to the whole site.
OF_SITE = frozenset(
    {ALARM_PROGRESS, NOTIFICATIONS, OUTBOUND_POSITIONS, PUSH_KEYS, PROCESSES, RESTORES, SCHEMA, UPLOADS}
)


class NotVisibleError(Exception):
    """A query that would not be limited to visible devices."""


class VisibleDatabase(FederatedDatabase):
    """The database with the documents of some devices only."""

    def __init__(self, held: Database[Document], devices: frozenset[str]) -> None:
        super().__init__(held.client, held.name)
        self._held = held
        self._devices = devices

    def __getitem__(self, name: str) -> Collection[Document]:
        if name in OF_SITE:
            raise NotVisibleError(name)
        held = self._held[name]
        if name in NOTES:
            return held
        if isinstance(held, FederatedReadings):
            return VisibleArchived(self, held, self._devices)
        return VisibleCollection(self, held, self._devices)

    # Answers are remembered by their database: pymongo's own equality knows only its name.
    def __eq__(self, other: object) -> bool:
        return isinstance(other, VisibleDatabase) and (self._held, self._devices) == (other._held, other._devices)

    def __hash__(self) -> int:
        return hash((self._held, self._devices))

    def archived_span(self, type_name: str) -> ArchivedSpan | None:
        return self._held.archived_span(type_name) if isinstance(self._held, FederatedDatabase) else None

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's database, for pipelines that begin with devices and look up what is of each."""
        first, *others = pipeline
        if first.keys() != {"$documents"} or not all(map(_looks_up_devices, others)):
            raise NotVisibleError("aggregate")
        visible = [document for document in first["$documents"] if document[DEVICE]["$literal"] in self._devices]
        return self._held.aggregate([{"$documents": visible}, *others], *args, **kwargs)

    def command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's database, for counting documents."""
        if command != "count":
            raise NotVisibleError(str(command))
        name, *others = args
        where = kwargs.pop("query", {})
        if name not in NOTES:
            self[name]  # not of the site
            where = limited(name, where, self._devices)
        return self._held.command(command, name, *others, query=where, **kwargs)


def _looks_up_devices(stage: Mapping[str, Any]) -> bool:
    """Whether a stage looks up documents of the device that it is at."""
    asked = stage.get("$lookup")
    if stage.keys() != {"$lookup"} or not isinstance(asked, Mapping) or asked.get("let") != {"device": "$device_id"}:
        return False
    first, *others = asked["pipeline"]
    match = first.get("$match", {})
    nested = any(name in other for other in others for name in ("$lookup", "$unionWith", "$graphLookup"))
    return match.get("$expr") == {"$eq": ["$device_id", "$$device"]} and not nested and asked["from"] not in OF_SITE


def limited(name: str, where: Mapping[str, Any] | None, devices: frozenset[str]) -> Document:
    """A filter of a collection, with the condition that documents are of visible devices."""
    where, key = dict(where or {}), "_id" if name in NAMED_BY_DEVICE else DEVICE
    if name == EXCHANGES:
        where = {"$and": [where, {"new_device_id": {"$in": [None, *sorted(devices)]}}]}
    asked = where.get(key)
    if isinstance(asked, str):
        return where if asked in devices else {**where, key: {"$in": []}}
    if isinstance(asked, Mapping) and asked.keys() == {"$in"}:
        return {**where, key: {"$in": [device for device in asked["$in"] if device in devices]}}
    visible = {key: {"$in": sorted(devices)}}
    return {**where, **visible} if key not in where else {"$and": [where, visible]}


class _LimitedCollection(Collection[Document]):
    """What both kinds of collections have. Only what is written out here can be asked of them."""

    _inner: Collection[Document]
    _devices: frozenset[str]

    def _where(self, where: Any) -> Document:
        return limited(self.name, where, self._devices)

    def _check(self, document: Mapping[str, Any]) -> None:
        device = document.get("_id" if self.name in NAMED_BY_DEVICE else DEVICE)
        if device not in self._devices:
            raise NotVisibleError(f"{self.name}: {device}")

    def find(self, filter: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        return self._inner.find(self._where(filter), *args, **kwargs)

    def find_one(self, filter: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        where = {"_id": filter} if filter is not None and not isinstance(filter, Mapping) else filter
        return self._inner.find_one(self._where(where), *args, **kwargs)

    def find_raw_batches(self, filter: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        return self._inner.find_raw_batches(self._where(filter), *args, **kwargs)

    def count_documents(self, filter: Any, *args: Any, **kwargs: Any) -> int:
        """As of pymongo's collection."""
        return self._inner.count_documents(self._where(filter), *args, **kwargs)

    def estimated_document_count(self, *args: Any, **kwargs: Any) -> int:
        """As of pymongo's collection, but exact: there is no estimate for some devices."""
        return self._inner.count_documents(self._where({}))

    def distinct(self, key: str, filter: Any = None, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        return self._inner.distinct(key, self._where(filter), *args, **kwargs)

    def aggregate(self, pipeline: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        first, *others = pipeline
        if any(name in stage for stage in pipeline for name in ("$lookup", "$unionWith", "$graphLookup", "$facet")):
            raise NotVisibleError(f"{self.name}: aggregate")
        if first.keys() == {"$match"}:
            return self._inner.aggregate([{"$match": self._where(first["$match"])}, *others], *args, **kwargs)
        return self._inner.aggregate([{"$match": self._where({})}, *pipeline], *args, **kwargs)

    def find_one_and_update(self, filter: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        if kwargs.get("upsert"):
            self._check(filter)
        return self._inner.find_one_and_update(self._where(filter), *args, **kwargs)

    def update_one(self, filter: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        if kwargs.get("upsert"):
            self._check(filter)
        return self._inner.update_one(self._where(filter), *args, **kwargs)

    def update_many(self, filter: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        if kwargs.get("upsert"):
            self._check(filter)
        return self._inner.update_many(self._where(filter), *args, **kwargs)

    def delete_many(self, filter: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        return self._inner.delete_many(self._where(filter), *args, **kwargs)

    def delete_one(self, filter: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        return self._inner.delete_one(self._where(filter), *args, **kwargs)

    def insert_one(self, document: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        self._check(document)
        return self._inner.insert_one(document, *args, **kwargs)

    def insert_many(self, documents: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection."""
        documents = list(documents)
        for document in documents:
            self._check(document)
        return self._inner.insert_many(documents, *args, **kwargs)

    def bulk_write(self, requests: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's collection. Requests name the device that a view has found."""
        for request in requests:
            self._check(getattr(request, "_filter", None) or getattr(request, "_doc", {}))
        return self._inner.bulk_write(requests, *args, **kwargs)

    def _never(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise NotVisibleError(self.name)

    replace_one = find_one_and_replace = find_one_and_delete = aggregate_raw_batches = watch = _never
    with_options = rename = drop = _never


class VisibleCollection(_LimitedCollection):
    """A collection with the documents of some devices only."""

    def __init__(self, database: Database[Document], inner: Collection[Document], devices: frozenset[str]) -> None:
        super().__init__(database, inner.name)
        self._inner = inner
        self._devices = devices


class VisibleArchived(_LimitedCollection, FederatedReadings):
    """The readings of a type, partly archived, with those of some devices only."""

    def __init__(self, database: Database[Document], inner: FederatedReadings, devices: frozenset[str]) -> None:
        super().__init__(database, inner.name)
        self._inner: FederatedReadings = inner
        self._devices = devices

    @property
    def held(self) -> Collection[Document]:
        held = self._inner.held
        # Aggregations over its database are of what MongoDB holds, too.
        return VisibleCollection(VisibleDatabase(held.database, self._devices), held, self._devices)

    @property
    def young_from(self) -> datetime:
        return self._inner.young_from

    def reaches_archive(self, where: Document) -> bool:
        return self._inner.reaches_archive(self._where(where))

    def count_matching(self, where: Document, limit: int | None = None) -> int:
        return self._inner.count_matching(self._where(where), limit)

    def list_devices(self, where: Document) -> set[str]:
        return self._inner.list_devices(where) & self._devices

    def find_updated(
        self, since: tuple[datetime, object] | None, until: datetime, limit: int, projection: Document
    ) -> list[Document]:
        found: list[Document] = []
        while True:
            rows = self._inner.find_updated(since, until, ROWS_AT_ONCE, projection)
            found += [row for row in rows if row[DEVICE] in self._devices]
            if len(rows) < ROWS_AT_ONCE or len(found) >= limit:
                return found[:limit]
            since = rows[-1]["updated_at"], rows[-1]["_id"]
