"""Reading alarms: what is open, what was told of a subject, lists for people, and what is still to be passed on."""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

import pymongo
from pymongo import ASCENDING
from pymongo.collection import Collection

from greenpower.mongo.alarms.document import AlarmState
from greenpower.mongo.client import Document
from greenpower.mongo.query import QUERY_SECONDS, between

SHOWN_STATES = tuple(state.value for state in AlarmState if state is not AlarmState.CANCELLED)
# What the evaluator needs of an alarm.
WORK_KEYS = (
    "rule_id", "subject", "state", "open", "begin", "value", "late", "raised_at", "cleared_at", "silence_id",
    "seen_at", "round",
)  # fmt: skip
WORK_PROJECTION = dict.fromkeys(WORK_KEYS, 1)
SUBJECTS_PER_QUERY = 1_000


def find_open(alarms: Collection[Document]) -> list[Document]:
    """All alarms that are open, pending ones included. Raises PyMongoError."""
    return list(alarms.find({"open": True}, WORK_PROJECTION))


def find_since_round(alarms: Collection[Document], number: int) -> list[Document]:
    """What a round wrote that was not finished: the alarms of rounds after one. Raises PyMongoError."""
    return list(alarms.find({"round": {"$gt": number}}, WORK_PROJECTION))


def find_around(alarms: Collection[Document], rule_id: int, since: Mapping[str, datetime]) -> list[Document]:
    """The alarms of some subjects of a rule, by the subject's key, that end after a time or go on. Raises
    PyMongoError."""
    found: list[Document] = []
    subjects = list(since)
    for at in range(0, len(subjects), SUBJECTS_PER_QUERY):
        where = {"rule_id": rule_id, "subject": {"$in": subjects[at : at + SUBJECTS_PER_QUERY]}}
        found += alarms.find(where, WORK_PROJECTION).sort([("rule_id", ASCENDING), ("subject", ASCENDING)])
    return [item for item in found if item["open"] or (item["cleared_at"] or item["begin"]) >= since[item["subject"]]]


def find_untold(alarms: Collection[Document], limit: int) -> list[Document]:
    """Alarms with transitions that were not passed on, those first that wait longest. Raises PyMongoError."""
    return list(alarms.find({"untold": True}).sort("updated_at", ASCENDING).limit(limit))


def listed(
    *,
    states: Sequence[str] = (),
    severities: Sequence[str] = (),
    rule_id: int | None = None,
    device_id: str | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    scopes: Sequence[Document] = (),
) -> Document:
    """A filter on alarms for people: of these states, severities and times. scopes: each a further condition."""
    conditions: list[Document] = [{"state": {"$in": list(states or SHOWN_STATES)}}]
    if severities:
        conditions.append({"severity": {"$in": list(severities)}})
    if rule_id is not None:
        conditions.append({"rule_id": rule_id})
    if device_id is not None:
        conditions.append({"device_id": device_id})
    if times := between("begin", start, end):
        conditions.append(times)
    return {"$and": [*conditions, *scopes]}


def of_subjects(devices: AnyOf[str], points: AnyOf[int], zones: AnyOf[int]) -> Document:
    """The condition that an alarm is about one of some devices, points or zones."""
    return {
        "$or": [
            {"device_id": {"$in": sorted(devices)}},
            {"point_id": {"$in": sorted(points)}},
            {"subject_zone_id": {"$in": sorted(zones)}},
        ]
    }


def count_alarms(alarms: Collection[Document]) -> dict[tuple[str, str], int]:
    """How many are open, by state and severity. Raises PyMongoError."""
    group: list[dict[str, Any]] = [
        {"$match": {"open": True}},
        {"$group": {"_id": {"state": "$state", "severity": "$severity"}, "count": {"$sum": 1}}},
    ]
    with pymongo.timeout(QUERY_SECONDS), alarms.aggregate(group) as cursor:
        return {(item["_id"]["state"], item["_id"]["severity"]): item["count"] for item in cursor}


def has_open_or_untold(alarms: Collection[Document]) -> bool:
    """Whether any alarm is open, or has transitions that were not passed on. Raises PyMongoError."""
    return any(alarms.find_one(where, {"_id": 1}) is not None for where in ({"open": True}, {"untold": True}))
