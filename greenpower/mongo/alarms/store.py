"""Writing alarms: what the evaluator found, acknowledgements, and up to where transitions were passed on.

A raise is one journaled write. Two unique indexes make it one raise, however often it is written: one alarm of a rule,
subject and begin, and one that is open of a rule and subject. Updates name the state that they change, so that one that
comes twice, or too late, does nothing; they number transitions inside the write.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from bson import ObjectId
from pymongo import UpdateOne
from pymongo.collection import Collection, ReturnDocument
from pymongo.errors import BulkWriteError

from greenpower.mongo.alarms.document import AlarmState, AlarmStep
from greenpower.mongo.bulk import read_duplicates
from greenpower.mongo.client import Document
from greenpower.mongo.unaudited import UnauditedEntry, added

OPEN_STATES = (AlarmState.PENDING.value, AlarmState.ACTIVE.value, AlarmState.ACKNOWLEDGED.value)
RAISED_STATES = (AlarmState.ACTIVE.value, AlarmState.ACKNOWLEDGED.value)
# So many operations go to the server at once.
ALARMS_PER_WRITE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class AlarmChange:
    """What becomes of an alarm. id: None for a new one. states: those that it must have for that. values: keys that
    are set; of a new alarm all but those of this module. steps: transitions without their numbers and `noted_at`."""

    values: Document
    steps: Sequence[Document]
    id: ObjectId | None = None
    states: Sequence[str] = OPEN_STATES
    drop: tuple[str, ...] = field(default=())


def write_changes(alarms: Collection[Document], changes: Iterable[AlarmChange], round_number: int) -> int:
    """Write changes: first those of alarms that are there, so that one that ends makes room for the next. Safe to
    repeat. Returns how many did something. Raises PyMongoError."""
    changes = list(changes)
    now = datetime.now(UTC)
    updates = [_update(change, round_number, now) for change in changes if change.id is not None]
    done = 0
    for at in range(0, len(updates), ALARMS_PER_WRITE):
        done += alarms.bulk_write(updates[at : at + ALARMS_PER_WRITE], ordered=False).modified_count
    inserts = [_document(change, round_number, now) for change in changes if change.id is None]
    for at in range(0, len(inserts), ALARMS_PER_WRITE):
        several = inserts[at : at + ALARMS_PER_WRITE]
        try:
            alarms.insert_many(several, ordered=False)
            done += len(several)
        except BulkWriteError as error:
            done += len(several) - len(read_duplicates(error).duplicates)
    return done


def _document(change: AlarmChange, round_number: int, now: datetime) -> Document:
    steps = [{"seq": number, **step, "noted_at": now} for number, step in enumerate(change.steps, 1)]
    return {
        "_id": ObjectId(),
        **change.values,
        "transitions": steps,
        "told": 0,
        "untold": True,
        "round": round_number,
        "updated_at": now,
    }


def _update(change: AlarmChange, round_number: int, now: datetime) -> UpdateOne:
    values = {key: {"$literal": value} for key, value in change.values.items()}
    stages: list[Document] = [{"$set": {**values, "round": round_number, **_appended(change.steps, now)}}]
    if change.drop:
        stages.append({"$unset": list(change.drop)})
    return UpdateOne({"_id": change.id, "state": {"$in": list(change.states)}}, stages)


def _appended(steps: Sequence[Document], now: datetime) -> Document:
    """What appends transitions with the next numbers."""
    numbered = [
        {
            "$mergeObjects": [
                {"seq": {"$add": [{"$size": "$transitions"}, place]}},
                {"$literal": {**step, "noted_at": now}},
            ]
        }
        for place, step in enumerate(steps, 1)
    ]
    found: Document = {"updated_at": "$$NOW"}
    if numbered:
        found |= {"transitions": {"$concatArrays": ["$transitions", numbered]}, "untold": True}
    return found


def acknowledge_alarm(
    alarms: Collection[Document], id: ObjectId, by: str, note: str, entry: UnauditedEntry | None
) -> Document | None:
    """Acknowledge an active alarm, once. Returns it as it is then, None where it is not active. Raises PyMongoError."""
    now = datetime.now(UTC)
    step = {"step": AlarmStep.ACKNOWLEDGED.value, "at": now, "silent": False, "by": by, "note": note}
    values: dict[str, Any] = {
        "state": AlarmState.ACKNOWLEDGED.value,
        "acknowledged_at": now,
        "acknowledged_by": by,
        "note": note,
    }
    changed: Document = {key: {"$literal": value} for key, value in values.items()}
    # Nobody is told that one was acknowledged of which nobody was told.
    appended = _appended([step], now)
    appended["transitions"]["$concatArrays"][1][0]["$mergeObjects"].append(
        {"silent": {"$ne": [{"$ifNull": ["$silence_id", None]}, None]}}
    )
    return alarms.find_one_and_update(
        {"_id": id, "state": AlarmState.ACTIVE.value},
        [{"$set": {**changed, **appended, **added(entry)}}],
        return_document=ReturnDocument.AFTER,
    )


def note_told(alarms: Collection[Document], told: Mapping[ObjectId, tuple[int, int]]) -> None:
    """Note that transitions were passed on: by alarm the number before and now. Raises PyMongoError."""
    writes = [
        UpdateOne(
            {"_id": id, "told": before},
            [
                {"$set": {"told": last}},
                {"$set": {"untold": {"$cond": [{"$gt": [{"$size": "$transitions"}, last]}, True, "$$REMOVE"]}}},
            ],
        )
        for id, (before, last) in told.items()
    ]
    if writes:
        alarms.bulk_write(writes, ordered=False)
