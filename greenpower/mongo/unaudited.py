"""Entries of the audit that are still to be written, on the documents whose change they tell.

The audit is in SQL, and no transaction spans both databases. So the write that changes a document puts the entry into
it, under `unaudited`; when the entry is in SQL it is taken out. Where a process ends in between, the document still has
it, and the worker writes it (`greenpower.jobs.missing_entries`). An entry has an id, so that it is never written twice.

What belongs here: the entries in documents. What does not: what they say and how they are written
(`greenpower.sql.audit`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NotRequired, TypedDict

from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import ALARMS, CORRECTIONS, EXCHANGES, INCIDENTS, PUSH_KEYS, WIRING_FINDINGS

UNAUDITED = "unaudited"
#: What people change in MongoDB.
AUDITED_COLLECTIONS = (CORRECTIONS, INCIDENTS, EXCHANGES, PUSH_KEYS, WIRING_FINDINGS, ALARMS)
# Both conditions are for the index: it is of the few documents that have an entry.
ANY_ENTRY: Document = {UNAUDITED: {"$exists": True}, f"{UNAUDITED}.id": {"$gt": ""}}


class UnauditedEntry(TypedDict):
    """An entry in a document. id: of the change, unique. entry: its row, as JSON. object_id: what it is about, where
    that is not the document."""

    id: str
    entry: str
    object_id: NotRequired[str]


def held(entry: UnauditedEntry | None) -> Document:
    """The keys of a new document for its entry."""
    return {} if entry is None else {UNAUDITED: [entry]}


def pushed(change: Document, entry: UnauditedEntry | None) -> Document:
    """An update that leaves the entry in the document, too."""
    return change if entry is None else {**change, "$push": {**change.get("$push", {}), UNAUDITED: entry}}


def added(entry: UnauditedEntry | None) -> Document:
    """For the `$set` of a pipeline: the same."""
    if entry is None:
        return {}
    return {UNAUDITED: {"$concatArrays": [{"$ifNull": [f"${UNAUDITED}", []]}, [{"$literal": entry}]]}}


def unaudited_entries(db: Database[Document]) -> Iterator[tuple[str, UnauditedEntry]]:
    """All that are still to be written, with the id of what each is about. Raises PyMongoError."""
    for name in AUDITED_COLLECTIONS:
        for document in db[name].find(ANY_ENTRY, {UNAUDITED: 1}).to_list():
            for entry in document[UNAUDITED]:
                yield entry.get("object_id") or str(document["_id"]), entry


def take_out(db: Database[Document], change_id: str) -> None:
    """The entry of a change is written, or the change was undone: no document needs it. Raises PyMongoError."""
    others = {"$filter": {"input": f"${UNAUDITED}", "cond": {"$ne": ["$$this.id", {"$literal": change_id}]}}}
    left = {"$cond": [{"$eq": ["$$others", []]}, "$$REMOVE", "$$others"]}
    change = [{"$set": {UNAUDITED: {"$let": {"vars": {"others": others}, "in": left}}}}]
    for name in AUDITED_COLLECTIONS:
        db[name].update_many({UNAUDITED: {"$exists": True}, f"{UNAUDITED}.id": change_id}, change)
