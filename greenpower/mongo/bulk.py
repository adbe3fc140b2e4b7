"""Bulk writes: what an error of one says of each operation, and insert-many with an answer for each document.

What belongs here: the one reading of BulkWriteError. What does not: what a caller does about a duplicate, and writing
again (`greenpower.mongo.failure`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, WriteConcernError

from greenpower.mongo.client import Document
from greenpower.mongo.failure import DOCUMENT_FAULTS, DUPLICATE_KEY, ENCODING_FAULTS, unstorable

# What is kept of an error's text.
MAX_FAULT_TEXT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class BulkOutcome:
    """What a bulk write did although it raised an error, and the operations that did nothing, by position.

    duplicates: their unique key is taken. faults: {position: why the server will never take the document}.
    The counts are the server's: `modified` leaves out what matched and was the same already.
    """

    duplicates: tuple[int, ...]
    faults: dict[int, str]
    matched: int
    modified: int
    upserted: int
    deleted: int


def read_bulk_error(error: BulkWriteError) -> BulkOutcome:
    """What an unordered bulk write's error says, where every failure is a duplicate or a document's own fault.

    Raises WriteConcernError where the write is not durable, and OperationFailure where the server is at fault: nothing
    of the batch may be taken for stored then. Writing an idempotent batch again is right in both cases.
    """
    details = error.details or {}
    duplicates: list[int] = []
    faults: dict[int, str] = {}
    for failure in details.get("writeErrors", ()):
        code, text = failure["code"], str(failure.get("errmsg", failure["code"]))
        if code == DUPLICATE_KEY:
            duplicates.append(failure["index"])
        elif code in DOCUMENT_FAULTS:
            faults[failure["index"]] = text[:MAX_FAULT_TEXT]
        else:
            raise OperationFailure(text, code) from None
    for concern in details.get("writeConcernErrors", ()):
        raise WriteConcernError(str(concern.get("errmsg")), concern.get("code")) from None
    return BulkOutcome(
        duplicates=tuple(duplicates),
        faults=faults,
        matched=details.get("nMatched", 0),
        modified=details.get("nModified", 0),
        upserted=details.get("nUpserted", 0),
        deleted=details.get("nRemoved", 0),
    )


def read_duplicates(error: BulkWriteError) -> BulkOutcome:
    """As `read_bulk_error`, for documents that the program made itself: their faults are errors as well.

    Raises OperationFailure in addition where the server will never take one of them.
    """
    outcome = read_bulk_error(error)
    for why in outcome.faults.values():
        raise OperationFailure(why) from None
    return outcome


@dataclass(slots=True)
class Inserted:
    """The outcome of a batch, by position: those whose key is taken, and those that can never be stored."""

    duplicates: list[int] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)


async def insert_each(collection: AsyncCollection[Document], documents: Sequence[Document]) -> Inserted:
    """Insert documents that carry their own `_id`, unordered. Those that are neither duplicates nor faults are stored.

    Raises PyMongoError where the server is at fault. Calling it again with the same documents is safe: what the
    first call stored is then among the duplicates.
    """
    result = Inserted()
    left = list(range(len(documents)))
    while left:
        try:
            await collection.insert_many([documents[index] for index in left], ordered=False)
            return result
        except ENCODING_FAULTS:
            # One value without a BSON form fails the whole batch before anything is sent: find those documents.
            found = {index: why for index in left if (why := unstorable(documents[index])) is not None}
            if not found:
                raise
            result.faults.update(found)
            left = [index for index in left if index not in found]
        except BulkWriteError as error:
            _note(error, left, result)
            return result
        except (AutoReconnect, WriteConcernError):
            raise
        except OperationFailure:
            if len(left) == 1:
                raise
            await _one_by_one(collection, documents, left, result)
            return result
    return result


def _note(error: BulkWriteError, sent: Sequence[int], result: Inserted) -> None:
    """Add what an error says to the result. sent: the positions of the documents that were sent."""
    outcome = read_bulk_error(error)
    result.duplicates += [sent[index] for index in outcome.duplicates]
    result.faults.update({sent[index]: why for index, why in outcome.faults.items()})


async def _one_by_one(
    collection: AsyncCollection[Document], documents: Sequence[Document], left: list[int], result: Inserted
) -> None:
    """The server refused the whole command: try each document alone. Those that fail while others pass are at fault.

    If all fail, the fault is the server's.
    """
    refused: dict[int, OperationFailure] = {}
    for index in left:
        try:
            await collection.insert_many([documents[index]], ordered=False)
        except BulkWriteError as error:
            _note(error, [index], result)
        except (AutoReconnect, WriteConcernError):
            raise
        except OperationFailure as error:
            refused[index] = error
    if len(refused) == len(left):
        raise next(iter(refused.values()))
    result.faults.update({index: str(error)[:MAX_FAULT_TEXT] for index, error in refused.items()})
