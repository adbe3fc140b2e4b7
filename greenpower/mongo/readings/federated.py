"""Federated readings: a collection of which a part is no longer in MongoDB, read as if it still were.

What belongs here: what readers may ask of such a collection, and of a database that has some. What does not: where the
other part is (`greenpower.archive`). A plain collection is one that MongoDB holds whole.
"""

from __future__ import annotations

from abc import abstractmethod
from datetime import datetime
from typing import NamedTuple

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.mongo.client import Document


class ArchivedSpan(NamedTuple):
    """From when to when something of a type's readings is archived: what is younger is in MongoDB only."""

    begin: datetime
    end: datetime


class FederatedReadings(Collection[Document]):
    """`find`, `find_one` and the counts are of all readings; a query that cannot be answered so raises
    NotImplementedError. Writes are MongoDB's."""

    @property
    @abstractmethod
    def held(self) -> Collection[Document]:
        """What MongoDB holds. It has the newest reading of each device."""

    @property
    @abstractmethod
    def young_from(self) -> datetime:
        """What is not older is in MongoDB only."""

    @abstractmethod
    def reaches_archive(self, where: Document) -> bool:
        """Whether a query may match archived readings."""

    @abstractmethod
    def count_matching(self, where: Document, limit: int | None = None) -> int:
        """How many readings match, counted up to a limit."""

    @abstractmethod
    def list_devices(self, where: Document) -> set[str]:
        """The devices of which any reading matches."""

    @abstractmethod
    def find_updated(
        self, since: tuple[datetime, object] | None, until: datetime, limit: int, projection: Document
    ) -> list[Document]:
        """The first `limit` readings behind (updated_at, _id) and updated before a time, in that order."""


class FederatedDatabase(Database[Document]):
    """A database whose collections of readings are federated where something of them is archived."""

    @abstractmethod
    def archived_span(self, type_name: str) -> ArchivedSpan | None:
        """What is archived of a type; None: nothing."""


def held_by_mongo(collection: Collection[Document]) -> Collection[Document]:
    """The collection that MongoDB has of these documents."""
    return collection.held if isinstance(collection, FederatedReadings) else collection


def devices_held(collection: Collection[Document]) -> set[str]:
    """All devices of a collection that MongoDB holds, found by skipping from one to the next in the index: the cost is
    that of the devices, not of the documents."""
    return {row["_id"] for row in collection.aggregate([{"$group": {"_id": "$device_id"}}])}
