"""Making a span of a collection equal to another collection, without losing what is written meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

from pymongo import DeleteOne, UpdateOne
from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document
from greenpower.mongo.readings.clock_mark import FROM_FILES
from greenpower.mongo.readings.late import STAMP_AGAIN

READINGS_PER_BATCH = 1_000
CONTENT = ("topic", "received_at", "payload", "complete", "clock")

Change = UpdateOne | DeleteOne
Key = tuple[str, datetime]
Announce = Callable[[list[Key]], Awaitable[None]]


@dataclass(slots=True)
class Changes:
    """What a replacement did (or, in a dry run, would do), in readings. touched: written by others meanwhile. expired:
    older than the events they came from. imported: of files, so that no event tells what they were. All of these are
    left as they are."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0
    touched: int = 0
    expired: int = 0
    imported: int = 0

    @property
    def total(self) -> int:
        """How many readings are not what they were."""
        return self.added + self.changed + self.removed


async def replace_span(
    wanted: AsyncCollection[Document],
    live: AsyncCollection[Document],
    *,
    span: tuple[datetime, datetime],
    written_before: datetime,
    received_after: datetime,
    announce: Announce,
    dry_run: bool,
) -> Changes:
    """Make the readings of `live` with a timestamp in [span) equal to those of `wanted`.

    Only readings last written before `written_before` and received since `received_after` are changed or removed.
    announce: told the (device, timestamp) of what is about to change, and again of what has changed.
    Raises PyMongoError; what was replaced until then stays, and running it again goes on.
    """
    changes = Changes()
    pending: dict[Key, Change] = {}
    for_span = {"timestamp": {"$gte": span[0], "$lt": span[1]}}
    async for new, old in _side_by_side(wanted, live, for_span):
        change = _compare(new, old, written_before, received_after, changes)
        if change is not None and not dry_run:
            row = new or old or {}
            pending[row["device_id"], row["timestamp"]] = change
            if len(pending) >= READINGS_PER_BATCH:
                await _apply(live, pending, changes, announce)
                pending.clear()
    if pending:
        await _apply(live, pending, changes, announce)
    return changes


async def _side_by_side(
    wanted: AsyncCollection[Document], live: AsyncCollection[Document], query: Document
) -> AsyncIterator[tuple[Document | None, Document | None]]:
    """Both collections in one pass, by device and time: what is in one only has None beside it."""
    order = [("device_id", 1), ("timestamp", 1)]
    # The dedupe's index, with a leap from device to device: sorting would take what all the span takes.
    new_rows = wanted.find(query).sort(order).hint(order)
    old_rows = live.find(query).sort(order).hint(order)
    new, old = await anext(new_rows, None), await anext(old_rows, None)
    while new is not None or old is not None:
        left = None if new is None else (new["device_id"], new["timestamp"])
        right = None if old is None else (old["device_id"], old["timestamp"])
        if left == right:
            yield new, old
            new, old = await anext(new_rows, None), await anext(old_rows, None)
        elif right is None or (left is not None and left < right):
            yield new, None
            new = await anext(new_rows, None)
        else:
            yield None, old
            old = await anext(old_rows, None)


def _compare(
    new: Document | None, old: Document | None, written_before: datetime, received_after: datetime, changes: Changes
) -> Change | None:
    if old is None:
        assert new is not None
        changes.added += 1
        return _insertion(new)
    if new is not None and all(new.get(key) == old.get(key) for key in CONTENT):
        changes.same += 1
        return None
    if old.get("clock") in FROM_FILES:
        changes.imported += 1
        return None
    if old["updated_at"] >= written_before:
        changes.touched += 1
        return None
    if old["received_at"] < received_after:
        changes.expired += 1
        return None
    unchanged = {"_id": old["_id"], "updated_at": old["updated_at"]}
    if new is None:
        changes.removed += 1
        return DeleteOne(unchanged)
    changes.changed += 1
    change: Document = {"$set": {key: new[key] for key in CONTENT if key in new}, **STAMP_AGAIN}
    if gone := [key for key in CONTENT if key not in new]:
        change["$unset"] = dict.fromkeys(gone, "")
    return UpdateOne(unchanged, change)


def _insertion(new: Document) -> UpdateOne:
    """Insert, stamped by the server: it may be long until it is sent. One that is there already is a duplicate key."""
    place = {"device_id": new["device_id"], "timestamp": new["timestamp"]}
    rest = {key: value for key, value in new.items() if key not in ("device_id", "timestamp", "updated_at")}
    never = {"updated_at": {"$exists": False}}
    return UpdateOne({**place, **never}, {"$setOnInsert": rest, **STAMP_AGAIN}, upsert=True)


async def _apply(
    live: AsyncCollection[Document], pending: dict[Key, Change], changes: Changes, announce: Announce
) -> None:
    # Before as well: killed after the write, a second run would find nothing to change and announce nothing.
    await announce(list(pending))
    try:
        result = await live.bulk_write(list(pending.values()), ordered=False)
        done = result.upserted_count + result.matched_count + result.deleted_count
    except BulkWriteError as error:
        # A reading that came in just now has the place of one to be added.
        outcome = read_duplicates(error)
        done = outcome.upserted + outcome.matched + outcome.deleted
    changes.touched += len(pending) - done
    await announce(list(pending))
