"""Insert-many that tells, for each document, what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.errors import AutoReconnect, BulkWriteError, OperationFailure, WriteConcernError, WTimeoutError

from greenpower.mongo.client import Document
from greenpower.mongo.failure import DOCUMENT_FAULTS, DUPLICATE_KEY, ENCODING_FAULTS, unstorable


@dataclass(slots=True)
class Inserted:
    """What became of a batch, by position: those whose key was there before, and those that can never be stored."""

    duplicates: list[int] = field(default_factory=list)
    faults: dict[int, str] = field(default_factory=dict)


async def insert_each(collection: AsyncCollection[Document], documents: Sequence[Document]) -> Inserted:
    """Insert documents that carry their own `_id`, unordered; those neither duplicate nor at fault are stored.

    Raises PyMongoError where the server is at fault. Calling it again with the same documents is safe: what the
    first call stored is then among the duplicates.
    """
    result = Inserted()
    left = list(range(len(documents)))
    while left:
        batch = [documents[index] for index in left]
        try:
            await collection.insert_many(batch, ordered=False)
            return result
        except ENCODING_FAULTS:
            # One value without a BSON form fails the whole batch before anything is sent: find those documents.
            found = {index: why for index in left if (why := unstorable(documents[index])) is not None}
            if not found:
                raise
            result.faults.update(found)
            left = [index for index in left if index not in found]
        except BulkWriteError as error:
            _sort_out(error, left, result)
            return result
        except (AutoReconnect, WriteConcernError, WTimeoutError):
            raise
        except OperationFailure:
            if len(left) == 1:
                raise
            await _one_by_one(collection, documents, left, result)
            return result
    return result


def _sort_out(error: BulkWriteError, sent: list[int], result: Inserted) -> None:
    details = error.details or {}
    for failure in details.get("writeErrors", ()):
        index = sent[failure["index"]]
        if failure["code"] == DUPLICATE_KEY:
            result.duplicates.append(index)
        elif failure["code"] in DOCUMENT_FAULTS:
            result.faults[index] = str(failure.get("errmsg", failure["code"]))[:200]
        else:
            raise OperationFailure(str(failure.get("errmsg")), failure["code"]) from None
    if details.get("writeConcernErrors"):
        raise OperationFailure(str(details["writeConcernErrors"][0].get("errmsg"))) from None


async def _one_by_one(
    collection: AsyncCollection[Document], documents: Sequence[Document], left: list[int], result: Inserted
) -> None:
    """The server refused the whole command. Whoever fails alone while others pass is at fault; if all fail, it is not
    theirs."""
    refused: dict[int, OperationFailure] = {}
    for index in left:
        try:
            await collection.insert_one(documents[index])
        except AutoReconnect:
            raise
        except OperationFailure as error:
            if error.code == DUPLICATE_KEY:
                result.duplicates.append(index)
            else:
                refused[index] = error
    if len(refused) == len(left):
        raise next(iter(refused.values()))
    result.faults.update({index: str(error)[:200] for index, error in refused.items()})
