"""Incidents: what later readings make of one that is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from pymongo.database import Database

from greenpower.config import Settings
from greenpower.measure.counter.counted import CounterEvent
from greenpower.measure.counter.rules import Incident
from greenpower.mongo.client import sync_client
from greenpower.mongo.rollups.incidents import CONFIRMED, NOTED, OPEN, save_incidents, unsettled
from greenpower.mongo.schema.layout import INCIDENTS, ensure_indexes

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT = NOON + timedelta(minutes=1)


def save(db: Database[dict[str, Any]], incident: Incident, as_of: int) -> dict[str, Any]:
    found = CounterEvent(
        incident=incident, field="c", at=AT, value=5, before=9, before_at=NOON, correction=Fraction(9),
        open=incident is Incident.RESTART,
    )  # fmt: skip
    stretch = ("M1", NOON, NOON + timedelta(hours=1))
    save_incidents(db[INCIDENTS], "meter", [("M1", found)], [stretch], NOON + timedelta(hours=as_of))
    [document] = db[INCIDENTS].find()
    return document


def test_one_that_turns_out_to_be_another_is_decided_anew(settings: Settings) -> None:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (), settings)
        assert save(db, Incident.RESET, 1)["status"] == NOTED
        assert save(db, Incident.RESTART, 2)["status"] == OPEN
        assert save(db, Incident.RESET, 3)["status"] == NOTED


def test_a_withdrawn_decision_leaves_the_status_that_the_kind_has(settings: Settings) -> None:
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (), settings)
        for as_of, (incident, status) in enumerate(((Incident.RESET, NOTED), (Incident.RESTART, OPEN)), 1):
            save(db, incident, 3 * as_of)
            db[INCIDENTS].update_one({}, {"$set": {"status": CONFIRMED}})
            assert save(db, incident, 3 * as_of + 1)["status"] == CONFIRMED
            db[INCIDENTS].update_one({}, {"$set": {"status": OPEN if status == NOTED else NOTED}})
            assert save(db, incident, 3 * as_of + 2)["status"] == status


def test_what_others_leave_open_does_not_hide_what_may_turn(settings: Settings) -> None:
    """Of 1 500 meters that are silent, each with one older; and of the meter itself, as many older ones."""
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (), settings)
        kinds = (Incident.STEP, Incident.RESTART, Incident.UNIT_CHANGE)
        rows = [(f"S{number}", AT - timedelta(days=1)) for number in range(1_500)]
        rows += [("M1", AT - timedelta(minutes=number)) for number in range(1_200)]
        db[INCIDENTS].insert_many(
            {
                "type": "meter", "device_id": device, "field": "c", "at": at, "swap": False, "current": True,
                "settled": False, "incident": kinds[number % 3].value,
            }
            for number, (device, at) in enumerate(rows)
        )  # fmt: skip
        found = unsettled(db[INCIDENTS], "meter", {"M1", "M2"}, AT + timedelta(seconds=1))
        assert len(found) == 1_200 and ("M1", AT) in found
        assert unsettled(db[INCIDENTS], "meter", {"M1"}, AT) == found - {("M1", AT)}
        assert unsettled(db[INCIDENTS], "other", {"M1"}, AT) == set()
