"""Decisions about incidents: which there are, what they mean, and that they can be changed and withdrawn."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from bson import ObjectId
from pymongo.database import Database

from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.rollups.decisions import (
    NotDecidableError,
    check_decidable,
    decide,
    find_incident,
    meaning,
    record_swap,
)
from greenpower.mongo.rollups.incidents import CONFIRMED, NOTED, OPEN, REJECTED, read_decisions
from greenpower.mongo.schema.layout import INCIDENTS

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DECIDED_BY_RULE = ("dip", "spike")
DECIDABLE = ("fall", "small_fall", "reset", "rollover", "suspect_step", "suspect_restart", "unit_change")


@pytest.fixture
def db(settings: Settings) -> Iterator[Database[Document]]:
    with sync_client(settings) as client:
        yield client[settings.mongo_db_name]


def incident(db: Database[Document], kind: str, status: str = OPEN, **more: Any) -> Document:
    document = {
        "_id": ObjectId(), "type": "meter", "device_id": "M1", "field": "c", "at": NOON, "swap": kind == "swap",
        "incident": kind, "status": status, "current": True, "last": 9.0, "first": 1.0, **more,
    }  # fmt: skip
    db[INCIDENTS].insert_one(document)
    return document


def refused(document: Document, status: str) -> bool:
    try:
        check_decidable(document, status)
    except NotDecidableError:
        return True
    return False


@pytest.mark.parametrize("kind", DECIDABLE)
def test_a_decision_is_made_changed_and_withdrawn(db: Database[Document], kind: str) -> None:
    found = incident(db, kind)
    for status, verdict in ((CONFIRMED, True), (REJECTED, False), (CONFIRMED, True)):
        found = decide(db[INCIDENTS], found, status, "ann", "asked the site")
        assert find_incident(db[INCIDENTS], "M1", found["_id"]) is not None
        stored = db[INCIDENTS].find_one({"_id": found["_id"]})
        assert stored is not None
        assert (stored["status"], stored["decided_by"], stored["reason"]) == (status, "ann", "asked the site")
        assert read_decisions(db[INCIDENTS], "meter")["M1"]["c"].verdicts == {NOON: verdict}
    withdrawn = decide(db[INCIDENTS], found, OPEN, "bob")
    assert withdrawn["status"] == (NOTED if kind in ("reset", "rollover") else OPEN)
    assert withdrawn["decided_by"] == "bob" and read_decisions(db[INCIDENTS], "meter") == {}
    assert refused(withdrawn, OPEN)


@pytest.mark.parametrize("kind", DECIDED_BY_RULE)
def test_what_is_left_out_anyway_is_not_decided(db: Database[Document], kind: str) -> None:
    assert refused(incident(db, kind, NOTED), CONFIRMED) and refused(incident(db, kind, NOTED), REJECTED)
    # It was a fall when it was decided: the decision can be withdrawn still.
    assert decide(db[INCIDENTS], incident(db, kind, CONFIRMED), OPEN, "ann")["status"] == NOTED


def test_what_was_disproved_is_not_decided_but_withdrawn(db: Database[Document]) -> None:
    assert refused(incident(db, "fall", current=False), CONFIRMED)
    assert decide(db[INCIDENTS], incident(db, "fall", REJECTED, current=False), OPEN, "ann")["status"] == OPEN


def test_a_swap_is_rejected_and_confirmed_again(db: Database[Document]) -> None:
    [swap] = record_swap(db[INCIDENTS], "meter", "M1", NOON, {"c": (9.0, 1.0)}, "ann", "new meter")
    assert swap["reason"] == "new meter" and refused(swap, OPEN)
    rejected = decide(db[INCIDENTS], swap, REJECTED, "ann")
    assert read_decisions(db[INCIDENTS], "meter") == {}
    decide(db[INCIDENTS], rejected, CONFIRMED, "ann")
    assert len(read_decisions(db[INCIDENTS], "meter")["M1"]["c"].swaps) == 1
    decide(db[INCIDENTS], rejected, REJECTED, "ann")
    assert record_swap(db[INCIDENTS], "meter", "M1", NOON, {"c": (9.0, 2.0)}, "ann")[0]["status"] == CONFIRMED


def test_an_incident_that_changed_meanwhile_is_not_decided(db: Database[Document]) -> None:
    found = incident(db, "fall")
    for change in ({"incident": "dip"}, {"incident": "fall", "current": False}):
        db[INCIDENTS].update_one({"_id": found["_id"]}, {"$set": change})
        with pytest.raises(NotDecidableError):
            decide(db[INCIDENTS], found, CONFIRMED, "ann")
        assert db[INCIDENTS].count_documents({"status": OPEN}) == 1


@pytest.mark.parametrize(
    ("kind", "same"),
    [
        ("suspect_step", [{OPEN, REJECTED}, {CONFIRMED}]),
        ("suspect_restart", [{OPEN, REJECTED}, {CONFIRMED}]),
        ("small_fall", [{NOTED, OPEN, CONFIRMED, REJECTED}]),
        ("dip", [{NOTED, OPEN, CONFIRMED, REJECTED}]),
        ("fall", [{OPEN}, {CONFIRMED}, {REJECTED}]),
        ("reset", [{NOTED, OPEN}, {CONFIRMED}, {REJECTED}]),
        ("rollover", [{NOTED, OPEN}, {CONFIRMED}, {REJECTED}]),
        ("unit_change", [{OPEN}, {CONFIRMED}, {REJECTED}]),
        ("swap", [{CONFIRMED}, {REJECTED}]),
    ],
)
def test_statuses_that_mean_the_same_are_known(db: Database[Document], kind: str, same: list[set[str]]) -> None:
    found = incident(db, kind)
    for statuses in same:
        assert len({meaning(found, status) for status in statuses}) == 1
    assert len({meaning(found, next(iter(statuses))) for statuses in same}) == len(same)
