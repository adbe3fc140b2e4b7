"""Queries about the outbox: adding, claiming, noting what became of a try, listing.

What belongs here: what MongoDB is asked. What does not: when what is sent, and how (`greenpower.notify.send`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from bson import ObjectId
from pymongo import ASCENDING
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document
from greenpower.mongo.notifications.document import NoticeState

# What people read; files stay where they are.
WITHOUT_FILES = {"attachments.data": 0}
OLDEST_FIRST = [("created_at", ASCENDING), ("position", ASCENDING)]
MAX_SAID_LENGTH = 500


def add_notices(outbox: Collection[Document], notices: Sequence[Document]) -> int:
    """Keep notices that are not there yet. Returns how many were new. Raises PyMongoError.

    After an error some may be kept; adding all of them again is right.
    """
    if not notices:
        return 0
    try:
        return len(outbox.insert_many(notices, ordered=False).inserted_ids)
    except BulkWriteError as error:
        return len(notices) - len(read_duplicates(error).duplicates)


def waiting_channels(outbox: Collection[Document]) -> list[int]:
    """The channels for which something waits, due or not. Raises PyMongoError."""
    return sorted(outbox.distinct("channel_id", {"state": NoticeState.WAITING}))


def waiting_of(outbox: Collection[Document], channel_id: int, limit: int) -> list[Document]:
    """The oldest that wait for a channel, without files, oldest first. Raises PyMongoError."""
    where = {"state": NoticeState.WAITING, "channel_id": channel_id}
    return list(outbox.find(where, WITHOUT_FILES).sort(OLDEST_FIRST).limit(limit))


def messages_since(outbox: Collection[Document], channel_id: int, since: datetime) -> list[datetime]:
    """When messages went to a channel after a time, oldest first; notices of one message count once."""
    where = {"channel_id": channel_id, "done_at": {"$gt": since}, "state": NoticeState.SENT}
    found = {row["message"]: row["done_at"] for row in outbox.find(where, {"message": 1, "done_at": 1})}
    return sorted(found.values())


def claim_notices(
    outbox: Collection[Document], ids: Sequence[ObjectId], claim: str, now: datetime, until: datetime
) -> list[Document]:
    """Make notices that are due the caller's until a time, and give those it got, with files, oldest first."""
    outbox.update_many(
        {"_id": {"$in": list(ids)}, "state": NoticeState.WAITING, "next_try": {"$lte": now}},
        {
            "$set": {"claim": claim, "tried_at": now, "next_try": until, "blocks": True},
            "$inc": {"attempts": 1},
        },
    )
    found = outbox.find({"_id": {"$in": list(ids)}, **_of(claim)})
    return sorted(found, key=lambda notice: (notice["created_at"], notice["position"]))


def let_go(outbox: Collection[Document], ids: Sequence[ObjectId], claim: str, now: datetime) -> None:
    """Give claimed notices back: they were not tried."""
    changes = {"$set": {"next_try": now, "blocks": False}, "$inc": {"attempts": -1}}
    outbox.update_many({"_id": {"$in": list(ids)}, **_of(claim)}, changes)


def finish_notices(
    outbox: Collection[Document], ids: Sequence[ObjectId], claim: str, state: NoticeState, said: str, now: datetime
) -> None:
    """Note that claimed notices were sent as one message, or are given up. Their files are dropped."""
    values: dict[str, Any] = {"state": state, "said": said[:MAX_SAID_LENGTH], "done_at": now, "blocks": False}
    if state is NoticeState.SENT:
        values["message"] = f"{claim}/{ids[0]}"
    changes = {"$set": values, "$unset": {"attachments.$[].data": 0}}
    outbox.update_many({"_id": {"$in": list(ids)}, **_of(claim)}, changes)


def postpone_notices(
    outbox: Collection[Document], ids: Sequence[ObjectId], claim: str, said: str, next_try: datetime, *, blocks: bool
) -> None:
    """Note that a try failed. blocks: whether nothing else goes to the channel before the next one."""
    values = {"said": said[:MAX_SAID_LENGTH], "next_try": next_try, "blocks": blocks}
    outbox.update_many({"_id": {"$in": list(ids)}, **_of(claim)}, {"$set": values})


def _of(claim: str) -> Document:
    """What a claim still has."""
    return {"state": NoticeState.WAITING, "claim": claim}
