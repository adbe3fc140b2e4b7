"""Queries about positions of outbound targets.

What belongs here: claiming a target, noting what became of a delivery. What does not: when what is sent
(`greenpower.outbound.run`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple, cast

from pymongo import ReturnDocument
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from greenpower.mongo.client import Document
from greenpower.mongo.outbound.document import OutboundPositionDocument

MAX_ERROR_LENGTH = 300
EMPTY: Document = {"feeds": {}, "failures": 0, "deliveries": 0, "rows": 0, "errors": 0, "gaps": 0}


class FeedPosition(NamedTuple):
    """A place in a feed: behind the row `id` that was written `at`."""

    at: datetime
    id: Any


class Gap(NamedTuple):
    """What may be missing: rows written from then until then had expired before they were sent."""

    begin: datetime
    end: datetime


def read_positions(positions: Collection[Document], targets: Iterable[int]) -> dict[int, OutboundPositionDocument]:
    """The positions of some targets, by target; without those that no worker has looked at yet. Raises PyMongoError."""
    found = positions.find({"_id": {"$in": list(targets)}})
    return {row["_id"]: cast(OutboundPositionDocument, row) for row in found}


def all_positions(positions: Collection[Document]) -> dict[int, OutboundPositionDocument]:
    """The positions of all targets, by target. Raises PyMongoError."""
    return {row["_id"]: cast(OutboundPositionDocument, row) for row in positions.find()}


def claim_target(
    positions: Collection[Document], target: int, claim: str, now: datetime, until: datetime
) -> OutboundPositionDocument | None:
    """Make a target the caller's until a time. None while another has it. Raises PyMongoError."""
    free = {"$or": [{"claimed_until": {"$exists": False}}, {"claimed_until": {"$lte": now}}]}
    try:
        found = positions.find_one_and_update(
            {"_id": target, **free},
            {"$set": {"claim": claim, "claimed_until": until}, "$setOnInsert": EMPTY},
            upsert=True,
            return_document=ReturnDocument.AFTER,
        )
    except DuplicateKeyError:  # it is there, and claimed
        return None
    return cast(OutboundPositionDocument, found)


def save_position(
    positions: Collection[Document],
    target: int,
    claim: str,
    feed: str,
    position: FeedPosition,
    *,
    gap: Gap | None = None,
    is_new_gap: bool = False,
    rows: int = 0,
    at: datetime | None = None,
) -> bool:
    """Note how far a feed has been taken. rows: that were just delivered, `at` that time; 0: there was nothing. Returns
    whether the target is still the caller's: else nothing is noted. Raises PyMongoError."""
    values: Document = {f"feeds.{feed}.at": position.at, f"feeds.{feed}.id": position.id}
    if gap is not None:
        values |= {f"feeds.{feed}.gap_from": gap.begin, f"feeds.{feed}.gap_until": gap.end}
    change: Document = {"$set": values}
    counts = {"gaps": 1} if is_new_gap else {}
    if rows:
        values |= {"tried_at": at, "succeeded_at": at, "failures": 0}
        change["$unset"] = {"next_try": 1, "error": 1}
        counts |= {"deliveries": 1, "rows": rows}
    if counts:
        change["$inc"] = counts
    return positions.update_one({"_id": target, "claim": claim}, change).matched_count == 1


def note_failure(
    positions: Collection[Document], target: int, claim: str, error: str, now: datetime, next_try: datetime
) -> None:
    """Note that a delivery failed. Raises PyMongoError."""
    values = {"tried_at": now, "failed_at": now, "error": error[:MAX_ERROR_LENGTH], "next_try": next_try}
    positions.update_one({"_id": target, "claim": claim}, {"$set": values, "$inc": {"failures": 1, "errors": 1}})


def let_target_go(positions: Collection[Document], target: int, claim: str) -> None:
    """Give a claimed target back. Raises PyMongoError."""
    positions.update_one({"_id": target, "claim": claim}, {"$unset": {"claim": 1, "claimed_until": 1}})


def try_at_once(positions: Collection[Document], target: int) -> None:
    """Forget when the next try is due: the target was changed. Raises PyMongoError."""
    positions.update_one({"_id": target}, {"$unset": {"next_try": 1}})


def ask_for_test(positions: Collection[Document], target: int, now: datetime) -> None:
    """Ask for a test of a target. Raises PyMongoError."""
    change = {"$set": {"test": {"asked_at": now}}, "$setOnInsert": EMPTY}
    positions.update_one({"_id": target}, change, upsert=True)


def asked_tests(positions: Collection[Document]) -> dict[int, datetime]:
    """The targets of which a test waits, with when it was asked for. Raises PyMongoError."""
    found = positions.find({"test.asked_at": {"$exists": True}, "test.done_at": {"$exists": False}}, {"test": 1})
    return {row["_id"]: row["test"]["asked_at"] for row in found}


def note_test(
    positions: Collection[Document], target: int, asked_at: datetime, *, ok: bool, said: str, now: datetime
) -> None:
    """Note what became of a test. Raises PyMongoError."""
    values = {"test.done_at": now, "test.ok": ok, "test.said": said[:MAX_ERROR_LENGTH]}
    positions.update_one({"_id": target, "test.asked_at": asked_at}, {"$set": values})


def forget_target(positions: Collection[Document], target: int) -> None:
    """Delete a target's position. Raises PyMongoError."""
    positions.delete_one({"_id": target})


def forget_others(positions: Collection[Document], targets: Iterable[int]) -> None:
    """Delete the positions of targets that are no more. targets: all that there are. Raises PyMongoError."""
    positions.delete_many({"_id": {"$nin": list(targets)}})


def position_of(found: Mapping[str, Any], feed: str) -> FeedPosition | None:
    """The position of a feed in a target's document."""
    kept = found["feeds"].get(feed)
    return None if kept is None else FeedPosition(kept["at"], kept["id"])


def gap_of(found: Mapping[str, Any], feed: str) -> Gap | None:
    """The last gap of a feed."""
    kept = found["feeds"].get(feed, {})
    return Gap(kept["gap_from"], kept["gap_until"]) if "gap_from" in kept else None


def lag_of(found: OutboundPositionDocument, until: datetime) -> float:
    """How far the slowest feed of a target is behind a time, in seconds."""
    behind = [until - feed["at"] for feed in found["feeds"].values()]
    return max(0.0, max(behind, default=timedelta()).total_seconds())
