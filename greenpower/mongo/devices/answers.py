"""Answers of devices to commands, between ingest, which hears them, and the worker, which knows what was asked.

One `AnswerDocument` per answer. The first one stays: an answer that arrives again changes nothing. Nothing here decides
what an answer means.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from datetime import datetime
from typing import cast

from pymongo.asynchronous.collection import AsyncCollection
from pymongo.collection import Collection
from pymongo.errors import DuplicateKeyError

from greenpower.datatype import Answer
from greenpower.mongo.client import Document
from greenpower.mongo.devices.document import AnswerDocument

MAX_ANSWER_TEXT = 200
MAX_ANSWER_VALUES = 32


def answer_document(type_name: str, topic: str, answer: Answer, received_at: datetime) -> AnswerDocument:
    """An answer as it is stored: short, and storable whatever the device sent."""
    return {
        "_id": f"{answer.operation}|{answer.device_id}",
        "type": type_name,
        "topic": topic,
        "device_id": answer.device_id,
        "operation": answer.operation,
        "ok": answer.ok,
        "values": [[_storable(key), _storable(value)] for key, value in [*answer.values.items()][:MAX_ANSWER_VALUES]],
        "detail": _storable(answer.detail),
        "received_at": received_at,
        "taken": False,
    }


def _storable(text: str) -> str:
    return text[:MAX_ANSWER_TEXT].encode("utf-8", "backslashreplace").decode()


async def keep_answers(collection: AsyncCollection[Document], documents: Iterable[AnswerDocument]) -> None:
    """Keep answers that are new. Raises PyMongoError; safe to repeat."""
    for document in documents:
        key = {"_id": document["_id"]}
        with suppress(DuplicateKeyError):  # another process was first
            await collection.update_one(key, {"$setOnInsert": {**document}}, upsert=True)


def read_answer(document: AnswerDocument) -> Answer:
    """The answer in a document."""
    return Answer(
        device_id=document["device_id"],
        operation=document["operation"],
        ok=document["ok"],
        values={key: value for key, value in document["values"]},
        detail=document["detail"],
    )


def untaken(collection: Collection[Document], most: int = 1_000) -> list[AnswerDocument]:
    """The oldest answers that no worker has taken. Raises PyMongoError."""
    found = collection.find({"taken": False}).sort("received_at").limit(most)
    return [cast("AnswerDocument", document) for document in found]


def take(collection: Collection[Document], document: AnswerDocument) -> None:
    """Note that what an answer says has been written down. Raises PyMongoError."""
    collection.update_one({"_id": document["_id"]}, {"$set": {"taken": True}})
