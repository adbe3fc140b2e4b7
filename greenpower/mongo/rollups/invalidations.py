"""Invalidations: which hours of which devices a tier has to compute again.

One document per type, tier, device and hour: {_id, type, prefix, device_id, hour, count, token, since, updated_at}.
Invalidating a place again counts it up and gives it a new token. A run that has computed a place removes its document
only if the token is the one that was read before the work began: what was invalidated meanwhile stays so, and no
process has to remember anything.

Invalidating the same places with every batch of a backlog would cost more than storing it. So a run that has read
invalidations leaves a token of its own for the tier, before it looks at any reading: {_id: "type/prefix", token}. As
long as that token is the one that was there before a place was invalidated, its document is there and will be read
before the readings are: a reading that was stored before the token was looked at again needs no other invalidation.
A run of some device ranges leaves it for all of them: an invalidation too many costs little, and no release misses it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from bson import ObjectId
from pymongo import DeleteOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection

from greenpower.mongo.bulk import insert_each
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges, range_of
from greenpower.mongo.schema.layout import INVALIDATION_READS

TierKey = tuple[str, str]  # type name, prefix


@dataclass(frozen=True, slots=True)
class Place:
    """An hour of a device in a tier. prefix: of the tier. hour: its start, UTC."""

    type: str
    prefix: str
    device_id: str
    hour: datetime

    @classmethod
    def of(cls, type_name: str, prefix: str, device_id: str, time: datetime) -> Place:
        """The place that a time lies in."""
        return cls(type_name, prefix, device_id, start_of_hour(time.astimezone(UTC)))

    @property
    def key(self) -> str:
        return f"{self.type}/{self.prefix}/{self.hour:%Y-%m-%dT%H}/{self.device_id}"


@dataclass(frozen=True, slots=True)
class Invalidation:
    """An invalidation as it was read."""

    place: Place
    token: ObjectId
    since: datetime


def start_of_hour(time: datetime) -> datetime:
    """The hour that a time in UTC lies in. Called for each late reading, so simpler than `measure.windows.floor`."""
    return time.replace(minute=0, second=0, microsecond=0)


def _document(place: Place, now: datetime) -> Document:
    return {
        "_id": place.key,
        "type": place.type,
        "prefix": place.prefix,
        "device_id": place.device_id,
        "hour": place.hour,
        "count": 1,
        "token": ObjectId(),
        "since": now,
        "updated_at": now,
    }


def _updates(documents: Iterable[Document]) -> list[UpdateOne]:
    """Invalidations where there may be some already."""
    updates = []
    for document in documents:
        set_now = {name: document.pop(name) for name in ("token", "updated_at")}
        change = {"$inc": {"count": document.pop("count")}, "$set": set_now, "$setOnInsert": document}
        updates.append(UpdateOne({"_id": document["_id"]}, change, upsert=True))
    return updates


async def invalidate_async(collection: AsyncCollection[Document], places: Iterable[Place]) -> None:
    """Have places computed again, durably. Raises PyMongoError; doing it twice does no harm."""
    now = datetime.now(UTC)
    documents = [_document(place, now) for place in places]
    # Most are new, and an insert costs the server a fraction of an upsert.
    inserted = await insert_each(collection, documents)
    if updates := _updates(documents[index] for index in inserted.duplicates):
        await collection.bulk_write(updates, ordered=False)


def invalidate(collection: Collection[Document], places: Iterable[Place]) -> None:
    """As `invalidate_async`, blocking."""
    now = datetime.now(UTC)
    if updates := _updates(_document(place, now) for place in places):
        collection.bulk_write(updates, ordered=False)


async def read_tokens(
    collection: AsyncCollection[Document], tiers: Iterable[TierKey]
) -> dict[TierKey, ObjectId | None]:
    """The token that was left when each tier's invalidations were last read, None where they never were."""
    keys = {_tier_key(*tier): tier for tier in tiers}
    found: dict[TierKey, ObjectId | None] = dict.fromkeys(keys.values())
    async for document in collection.database[INVALIDATION_READS].find({"_id": {"$in": list(keys)}}):
        found[keys[document["_id"]]] = document["token"]
    return found


def _tier_key(type_name: str, prefix: str) -> str:
    return f"{type_name}/{prefix}"


def read_invalidations(
    collection: Collection[Document],
    type_name: str,
    prefix: str,
    limit: int,
    skip: int = 0,
    ranges: Ranges = ALL_RANGES,
) -> list[Invalidation]:
    """The invalidations of a tier of devices in some ranges, the oldest first. The readings that they are about must be
    read after this."""
    cursor = collection.find({"type": type_name, "prefix": prefix}).sort("since")
    if ranges == ALL_RANGES:
        found = cursor.skip(skip).limit(limit).to_list()
    else:
        # Told by the id alone: what is invalid may have neither readings nor buckets left.
        own = (document for document in cursor if range_of(document["device_id"]) in ranges)
        found = list(islice(own, skip, skip + limit))
    if found:
        key = {"_id": _tier_key(type_name, prefix)}
        collection.database[INVALIDATION_READS].update_one(key, {"$set": {"token": ObjectId()}}, upsert=True)
    return [
        Invalidation(
            Place(document["type"], document["prefix"], document["device_id"], document["hour"]),
            document["token"],
            document["since"],
        )
        for document in found
    ]


def remove_invalidations(collection: Collection[Document], invalidations: Sequence[Invalidation]) -> None:
    """Remove invalidations, except those of places that were invalidated again since they were read."""
    if invalidations:
        collection.bulk_write(
            [DeleteOne({"_id": item.place.key, "token": item.token}) for item in invalidations], ordered=False
        )
