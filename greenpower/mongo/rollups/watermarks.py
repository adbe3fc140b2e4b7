"""Watermarks: how far each tier is computed, what of each collection is whole, and the clock that orders results.

One document per tier, and one per raw collection, whose prefix is empty: {_id, type, prefix, watermark, complete_from,
left_alone, ran_at, error, error_at, ranges, round}. Windows that end at the watermark or before are done. From
`complete_from` on nothing has expired yet: what is computed from older documents would lack some.

Device ranges that are computed apart have a watermark of their own in `ranges`, by their hexadecimal digit. That of the
tier is what all of them have reached; a range is never before it:

    watermark 10:00, ranges {3: 9:00, 7: 10:20}    range 7 is done until 10:20, all others until 10:00
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pymongo import ReturnDocument
from pymongo.collection import Collection

from greenpower.mongo.client import Document
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges, keys_of

CLOCK = "clock"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
RETENTION_MARGIN = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class RangeProgress:
    """What is on record of a device range alone. watermark: only if it is after that of the tier. ran_at, error: of the
    last run that took it apart from others. round: of the last such run, see `begin_round`."""

    watermark: datetime | None = None
    ran_at: datetime | None = None
    error: str = ""
    round: str = ""


NOTHING_APART = RangeProgress()


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """The state of a tier. watermark: of all device ranges, None before the first run. error: of the last run, empty if
    it went well. ranges: those that were computed apart. round: the last one that began, see `begin_round`."""

    type: str
    prefix: str
    watermark: datetime | None = None
    complete_from: datetime = EPOCH
    left_alone: int = 0
    ran_at: datetime | None = None
    error: str = ""
    ranges: Mapping[int, RangeProgress] = field(default_factory=dict)
    round: str = ""

    def apart(self, number: int) -> RangeProgress:
        """What is on record of a device range alone."""
        return self.ranges.get(number, NOTHING_APART)

    def reached(self, ranges: Ranges) -> datetime | None:
        """What all of some device ranges have reached; None where one of them was never computed."""
        if not self.ranges:
            return self.watermark
        floor = self.watermark or EPOCH
        lowest = min(max(floor, self.apart(number).watermark or EPOCH) for number in ranges)
        return None if lowest == EPOCH else lowest


def key(type_name: str, prefix: str) -> str:
    """The `_id` of a tier's document."""
    return f"{type_name}/{prefix}"


def read_progress(collection: Collection[Document], type_name: str, prefix: str) -> Progress:
    """The state of a tier, or of a raw collection where the prefix is empty. Raises PyMongoError."""
    return progress_of(type_name, prefix, collection.find_one({"_id": key(type_name, prefix)}) or {})


def read_type_progress(
    collection: Collection[Document], type_name: str, prefixes: Iterable[str]
) -> dict[str, Progress]:
    """The state of several tiers of a type, by prefix, read at once. Raises PyMongoError."""
    wanted = {key(type_name, prefix): prefix for prefix in prefixes}
    found = {document["_id"]: document for document in collection.find({"_id": {"$in": list(wanted)}})}
    return {prefix: progress_of(type_name, prefix, found.get(name, {})) for name, prefix in wanted.items()}


def progress_of(type_name: str, prefix: str, found: Mapping[str, Any]) -> Progress:
    """The state of a tier as its document has it."""
    return Progress(
        type=type_name,
        prefix=prefix,
        watermark=found.get("watermark"),
        complete_from=found.get("complete_from", EPOCH),
        left_alone=found.get("left_alone", 0),
        ran_at=found.get("ran_at"),
        error=found.get("error", ""),
        ranges={
            int(digit, 16): RangeProgress(
                watermark=apart.get("watermark"),
                ran_at=apart.get("ran_at"),
                error=apart.get("error", ""),
                round=apart.get("round", ""),
            )
            for digit, apart in found.get("ranges", {}).items()
        },
        round=found.get("round", ""),
    )


def move_watermark(
    collection: Collection[Document], type_name: str, prefix: str, to: datetime, ranges: Ranges = ALL_RANGES
) -> None:
    """Move the watermark of some device ranges forward, and that of the tier with what all have reached; none ever goes
    back."""
    if ranges != ALL_RANGES:
        common = move_ranges(collection, type_name, prefix, to, ranges)
        if common is None:
            return
        to = common
    change_progress(collection, type_name, prefix, {"$max": {"watermark": to}})


def move_ranges(
    collection: Collection[Document], type_name: str, prefix: str, to: datetime, ranges: Ranges
) -> datetime | None:
    """Move the watermarks of some device ranges, but not that of the tier. Returns what that can be moved to now; None
    where it cannot. Of several that move at once the last one is told."""
    document = collection.find_one_and_update(
        {"_id": key(type_name, prefix)},
        {
            "$max": {f"ranges.{name}.watermark": to for name in keys_of(ranges)},
            "$setOnInsert": {"type": type_name, "prefix": prefix},
        },
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    progress = progress_of(type_name, prefix, document or {})
    common = progress.reached(ALL_RANGES)
    return None if common is None or common == progress.watermark else common


def note_horizon(
    collection: Collection[Document], type_name: str, prefix: str, now: datetime, ttl: int, at_least: datetime = EPOCH
) -> datetime:
    """Keep on record from when on a collection is whole, and return it. ttl: its retention in seconds, 0 for ever.

    A longer retention does not bring back what has expired, so this never goes back.
    """
    horizon = max(EPOCH, at_least)
    if ttl:
        kept = timedelta(seconds=ttl)
        horizon = max(horizon, now - kept + min(RETENTION_MARGIN, kept / 10))
    document = collection.find_one_and_update(
        {"_id": key(type_name, prefix)},
        {"$max": {"complete_from": horizon}, "$setOnInsert": {"type": type_name, "prefix": prefix}},
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert document is not None
    found: datetime = document["complete_from"]
    return found


def change_progress(collection: Collection[Document], type_name: str, prefix: str, change: Document) -> None:
    """Change the document of a tier, made where it is missing. Raises PyMongoError."""
    started = {**change.pop("$setOnInsert", {}), "type": type_name, "prefix": prefix}
    collection.update_one({"_id": key(type_name, prefix)}, {**change, "$setOnInsert": started}, upsert=True)


def take_as_of(collection: Collection[Document]) -> datetime:
    """A time that is later than any that was given out before, by the database's clock.

    Taken before the sources are read, it orders results by what they can have seen, whatever the hosts' clocks say: of
    two results for one bucket the later one stays.
    """
    document = collection.find_one_and_update(
        {"_id": CLOCK},
        [{"$set": {"now": {"$max": [{"$add": [{"$ifNull": ["$now", EPOCH]}, 1]}, "$$NOW"]}}}],
        upsert=True,
        return_document=ReturnDocument.AFTER,
    )
    assert document is not None
    found: datetime = document["now"]
    return found
