"""Incidents: what later readings make of one that is on record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from typing import Any

from pymongo.database import Database

from greenpower.config import Settings
from greenpower.measure.counter.register import CounterEvent
from greenpower.measure.counter.rules import Incident
from greenpower.mongo.client import sync_client
from greenpower.mongo.rollups.incidents import NOTED, OPEN, save_incidents
from greenpower.mongo.schema.layout import INCIDENTS, ensure_indexes

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
AT = NOON + timedelta(minutes=1)


def save(db: Database[dict[str, Any]], incident: Incident, as_of: int) -> dict[str, Any]:
    found = CounterEvent(incident=incident, field="c", at=AT, value=5, before=9, before_at=NOON, correction=Fraction(9))
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
