"""Documents of a tier: which of some buckets are final, and whether most are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from greenpower.config import Settings
from greenpower.mongo.client import sync_client
from greenpower.mongo.rollups.tier_documents import are_mostly_open, final_among

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def test_only_the_buckets_asked_for_that_are_final(settings: Settings) -> None:
    there = {("A", NOON): True, ("A", NOON + HOUR): False, ("B", NOON): False, ("B", NOON + HOUR): True}
    with sync_client(settings) as client:
        tier = client[settings.mongo_db_name]["tier"]
        tier.insert_many({"device_id": key[0], "timestamp": key[1], "final": final} for key, final in there.items())
        assert final_among(tier, there) == {("A", NOON), ("B", NOON + HOUR)}
        # Each device and each time is among those asked for, this pair is not.
        assert final_among(tier, [("A", NOON + HOUR), ("B", NOON)]) == set()
        assert final_among(tier, [("A", NOON), ("C", NOON)]) == {("A", NOON)}
        assert final_among(tier, []) == set()


def test_most_of_a_window_are_open_or_not_of_all_devices_and_of_some(settings: Settings) -> None:
    final = {"A": True, "B": True, "C": False, "D": False, "E": False}
    with sync_client(settings) as client:
        tier = client[settings.mongo_db_name]["tier"]
        tier.insert_many({"device_id": device, "timestamp": NOON, "final": value} for device, value in final.items())
        assert are_mostly_open(tier, NOON, None)
        assert not are_mostly_open(tier, NOON + HOUR, None)
        assert are_mostly_open(tier, NOON, ["B", "C", "D", "F"])
        # Half of them, none, none that is there.
        for devices in (["A", "C"], ["A", "B"], ["F"], []):
            assert not are_mostly_open(tier, NOON, devices)
