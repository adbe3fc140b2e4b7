"""What is left of devices is found in any tier and in the ledger, for all of them in a few queries."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from pymongo.database import Database

from greenpower.catalog.registry import get_registry
from greenpower.config import Settings
from greenpower.measure.slot import Slot
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.energy.ledger import write_slots
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, LedgerPart
from greenpower.mongo.energy.oldest import OldestOf
from greenpower.mongo.schema.layout import ensure_indexes
from tests.mongo.query_plans import recorded

T0 = datetime(2026, 11, 20, tzinfo=UTC)
HOUR = timedelta(hours=1)
METER = get_registry()["eny_now"]
DEVICES = ("both", "fine", "coarse", "ledger", "nothing")


@pytest.fixture
def left(settings: Settings) -> Iterator[Database[Document]]:
    """Buckets of two tiers, and days of the ledger."""
    with sync_client(settings) as client:
        db = client[settings.mongo_db_name]
        ensure_indexes(db, (METER,), settings)
        fine, coarse = [tier.prefix for tier in METER.tiers if tier.window is not None][:2]
        for prefix, device, hours in ((fine, "both", 9), (coarse, "both", 6), (fine, "fine", 5), (coarse, "coarse", 7)):
            for later in (0, 24):
                start = T0 + (hours + later) * HOUR
                # What a bucket begins with may lie well behind its start.
                coverage = {"count": 1, "first": start + timedelta(minutes=20), "last": start + timedelta(minutes=20)}
                db[prefix + METER.collection].insert_one(
                    {"device_id": device, "timestamp": start, "coverage": coverage, "stats": {}}
                )
        start = T0 - DAY + 12 * HOUR
        slot = Slot(start=start, energy=5, n=1, last=1.0, last_at=start)
        part = LedgerPart(device="ledger", field="e", begin=start, end=start + QUARTER, slots=[slot])
        assert write_slots(db, METER.name, [part], T0, T0) == set()
        yield db


def test_the_oldest_of_each_device_is_found(left: Database[Document]) -> None:
    older = OldestOf(left, METER, DEVICES)
    first = {"both": T0 + 6 * HOUR, "fine": T0 + 5 * HOUR, "coarse": T0 + 7 * HOUR}
    for device, start in first.items():
        assert not older.is_older(device, start + timedelta(minutes=20))
        assert older.is_older(device, start + timedelta(minutes=21))
    # A day of the ledger says nothing of the time of day: it is older than what lies on a later day.
    assert [older.is_older("ledger", time) for time in (T0 - HOUR, T0, T0 + HOUR)] == [False, True, True]
    assert not older.is_older("nothing", T0 + 9 * DAY)
    assert not older.is_older("unasked", T0 + 9 * DAY)


def test_all_devices_are_read_at_once(left: Database[Document]) -> None:
    with recorded(left) as record:
        older = OldestOf(left, METER, DEVICES)
        for device in DEVICES:
            older.is_older(device, T0 + HOUR)
    assert 0 < len(record.asked) <= len(METER.tiers) + 1
