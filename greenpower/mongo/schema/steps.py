"""The steps from one version of the documents to the next, in order.

What belongs here: a step's declaration, the list, and the versions that this release knows. What does not: running
them (`greenpower.mongo.schema.migrate`).

A step may be killed anywhere and is then run again from its last piece, perhaps beside a frozen process that still
works at it. So each write names in its filter the shape that it replaces, and finds nothing the second time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pymongo.database import Database

from greenpower.mongo.client import Document

# The version of a database that has data and says nothing of its version: all before versions were written down.
UNVERSIONED = 1
# What a piece reads at most.
DOCUMENTS_PER_PIECE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RewrittenPiece:
    """The outcome of one bounded piece of a step. position: where the next begins. last: there is none."""

    position: Any
    changed: int
    last: bool


Rewrite = Callable[[Database[Document], Any], RewrittenPiece]


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """From `version - 1` to `version`. oldest_reader: the oldest version a program must know to read what it writes.

    rewrite: does the piece that begins at a position, None for the first. It may run beside the system, and again.
    """

    version: int
    oldest_reader: int
    title: str
    rewrite: Rewrite


def rewrite_documents(collection: str, old: Document, change: list[Document]) -> Rewrite:
    """A rewrite of one collection, by `_id`. old: a filter on the shape that is replaced. change: an update pipeline.

    The collection's `_id`s are of one type. A piece reads DOCUMENTS_PER_PIECE documents, however few have the shape.
    """

    def rewrite(db: Database[Document], position: Any) -> RewrittenPiece:
        begin: Document = {} if position is None else {"$gt": position}
        where: Document = {"_id": begin} if begin else {}
        edge = list(db[collection].find(where, {"_id": 1}).sort("_id", 1).skip(DOCUMENTS_PER_PIECE - 1).limit(1))
        if edge:
            where = {"_id": {**begin, "$lte": edge[0]["_id"]}}
        changed = db[collection].update_many({"$and": [where, old]}, change).modified_count
        return RewrittenPiece(position=edge[0]["_id"] if edge else position, changed=changed, last=not edge)

    return rewrite


STEPS: tuple[Step, ...] = ()
#: the version that this program writes, and the oldest that it still reads
KNOWN_VERSION = max((step.version for step in STEPS), default=UNVERSIONED)
OLDEST_READABLE = max(UNVERSIONED, KNOWN_VERSION - 1)
