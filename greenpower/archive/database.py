"""The telemetry database, whose readings are those of MongoDB and of the archive.

What belongs here: which of its collections are more than MongoDB's. What does not: reading them
(`greenpower.archive.collection`). Every process that reads opens its database here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pymongo import MongoClient
from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.archive.collection import ArchivedReadings
from greenpower.archive.read import ArchiveView
from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.readings.federated import ArchivedSpan, FederatedDatabase

READING_COMMANDS = frozenset({"count", "distinct", "find", "aggregate"})


class ArchivedDatabase(FederatedDatabase):
    """A database. Where nothing of a type is archived, its collection is MongoDB's.

    Aggregations over a database must not look into partly archived collections: they raise NotImplementedError.
    """

    def __init__(self, held: Database[Document], settings: Settings, datatypes: Iterable[DataType]) -> None:
        super().__init__(held.client, held.name)
        self._held = held
        self._types = {datatype.collection: datatype for datatype in datatypes}
        self._view = ArchiveView(held, settings)

    def __getitem__(self, name: str) -> Collection[Document]:
        datatype = self._types.get(name)
        if datatype is None or not self._is_archived(name):
            return self._held[name]
        return ArchivedReadings(self, self._held[name], self._view, datatype)

    def refresh(self) -> None:
        """Look now which months are archived; else that is done once per minute."""
        self._view.refresh(now=True)

    def archived_span(self, type_name: str) -> ArchivedSpan | None:
        if not any(datatype.name == type_name and self._is_archived(name) for name, datatype in self._types.items()):
            return None
        begin, end = self._view.oldest(type_name), self._view.horizon(type_name)
        return None if begin is None or end is None else ArchivedSpan(begin, end)

    def aggregate(self, pipeline: Sequence[Mapping[str, Any]], *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's database."""
        if any(self._is_archived(name) for name in _looked_up(pipeline)):
            raise NotImplementedError("readings that are partly archived are not looked up by MongoDB")
        return self._held.aggregate(pipeline, *args, **kwargs)

    def command(self, command: Any, *args: Any, **kwargs: Any) -> Any:
        """As of pymongo's database."""
        if command in READING_COMMANDS and args and self._is_archived(args[0]):
            raise NotImplementedError(f"readings that are partly archived: {command} would be of MongoDB's alone")
        return self._held.command(command, *args, **kwargs)

    def _is_archived(self, name: Any) -> bool:
        datatype = self._types.get(name)
        return datatype is not None and bool(self._view.months(datatype.name))


def open_database(
    client: MongoClient[Document], settings: Settings, datatypes: Iterable[DataType] | None = None
) -> Database[Document]:
    """The telemetry database. datatypes: None for those in force. Does not connect."""
    held = client[settings.mongo_db_name]
    return ArchivedDatabase(held, settings, get_registry() if datatypes is None else datatypes)


def _looked_up(pipeline: Sequence[Mapping[str, Any]]) -> Iterable[str]:
    for stage in pipeline:
        for name in ("$lookup", "$unionWith", "$graphLookup"):
            asked = stage.get(name)
            if isinstance(asked, str):
                yield asked
            elif isinstance(asked, Mapping):
                yield asked.get("from") or asked.get("coll") or ""
                yield from _looked_up(asked.get("pipeline", ()))
