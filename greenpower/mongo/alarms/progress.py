"""How far readings were judged: positions by type, the newest observation of each subject, and how each rule does.

A round writes alarms first, then the chunks of subjects, then positions, and its own document last. What was written by
a round that did not end is known by its number: nothing of it is judged twice. A chunk is replaced only if it is still
that of the round that was read, so a process that was frozen for long changes nothing any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from zlib import crc32

from pymongo import ReplaceOne, UpdateOne
from pymongo.collection import Collection
from pymongo.errors import BulkWriteError

from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document

CHUNKS_PER_RULE = 16
ROUND_ID = "round"


class RoundLostError(Exception):
    """Another process has gone on with the same work."""


@dataclass(slots=True, kw_only=True)
class SubjectTimes:
    """The newest observation of each subject of a rule. read: the round of each chunk when it was read."""

    times: dict[str, datetime]
    read: dict[int, int]


def chunk_of(subject: str) -> int:
    """In which chunk of its rule a subject is."""
    return crc32(subject.encode()) % CHUNKS_PER_RULE


def read_round(progress: Collection[Document]) -> Document | None:
    """The last round that was finished. Raises PyMongoError."""
    return progress.find_one({"_id": ROUND_ID})


def read_times(progress: Collection[Document], rules: Iterable[int]) -> dict[int, SubjectTimes]:
    """The newest observations, by rule. Raises PyMongoError."""
    found = {rule: SubjectTimes(times={}, read={}) for rule in rules}
    ids = [_chunk_id(rule, number) for rule in found for number in range(CHUNKS_PER_RULE)]
    for document in progress.find({"_id": {"$in": ids}}):
        own = found[document["rule_id"]]
        own.times.update(zip(document["subjects"], document["times"], strict=True))
        own.read[int(document["_id"].rpartition("|")[2])] = document["round"]
    return found


def save_times(
    progress: Collection[Document], rule_id: int, before: SubjectTimes, changed: Mapping[str, datetime], number: int
) -> None:
    """Keep newer observations of a rule's subjects. Raises RoundLostError, PyMongoError."""
    chunks: dict[int, dict[str, datetime]] = {chunk_of(subject): {} for subject in changed}
    for subject, at in {**before.times, **changed}.items():
        if (chunk := chunk_of(subject)) in chunks:
            chunks[chunk][subject] = at
    writes = []
    for chunk, times in chunks.items():
        document = {
            "rule_id": rule_id,
            "round": number,
            "subjects": list(times),
            "times": list(times.values()),
        }
        where: Document = {"_id": _chunk_id(rule_id, chunk), "round": before.read.get(chunk, -1)}
        writes.append(ReplaceOne(where, document, upsert=chunk not in before.read))
    if not writes:
        return
    try:
        result = progress.bulk_write(writes, ordered=False)
    except BulkWriteError as error:
        read_duplicates(error)
        raise RoundLostError from None
    if result.matched_count + len(result.upserted_ids or {}) < len(writes):
        raise RoundLostError


def read_positions(progress: Collection[Document], types: Iterable[str]) -> dict[str, Document]:
    """The positions of types. Raises PyMongoError."""
    ids = {f"position|{name}": name for name in types}
    return {ids[item["_id"]]: item for item in progress.find({"_id": {"$in": list(ids)}})}


def save_positions(progress: Collection[Document], positions: Mapping[str, tuple[datetime, datetime]]) -> None:
    """Keep the positions of types: of the newest and of the settled readings. Raises PyMongoError."""
    writes = [
        UpdateOne({"_id": f"position|{name}"}, {"$set": {"newest": newest, "settled": settled}}, upsert=True)
        for name, (newest, settled) in positions.items()
    ]
    if writes:
        progress.bulk_write(writes, ordered=False)


def finish_round(progress: Collection[Document], before: int, document: Document) -> None:
    """Keep that a round is finished. Raises RoundLostError, PyMongoError."""
    if before == 0:
        progress.update_one({"_id": ROUND_ID}, {"$setOnInsert": document}, upsert=True)
    elif not progress.replace_one({"_id": ROUND_ID, "number": before}, document).matched_count:
        raise RoundLostError


def read_statuses(progress: Collection[Document], rules: Iterable[int]) -> dict[int, Document]:
    """How rules do, by their ids. Raises PyMongoError."""
    ids = [f"rule|{rule}" for rule in rules]
    return {item["rule_id"]: item for item in progress.find({"_id": {"$in": ids}})}


def save_statuses(progress: Collection[Document], statuses: Iterable[Document]) -> None:
    """Keep how rules do: {rule_id, judged_at, problem, subjects}. Raises PyMongoError."""
    writes = []
    for status in statuses:
        failures = int(bool(status["problem"]))
        writes.append(
            UpdateOne(
                {"_id": f"rule|{status['rule_id']}"}, {"$set": status, "$inc": {"failures": failures}}, upsert=True
            )
        )
    if writes:
        progress.bulk_write(writes, ordered=False)


def forget_rules(progress: Collection[Document], there: Iterable[int]) -> None:
    """Remove what is kept of rules that are gone. there: those that are not. Raises PyMongoError."""
    progress.delete_many({"rule_id": {"$exists": True, "$nin": list(there)}})


def _chunk_id(rule_id: int, number: int) -> str:
    return f"chunk|{rule_id}|{number}"
