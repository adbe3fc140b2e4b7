"""Rollups over archived months: whatever is computed again is what it would be if nothing had been archived."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.archive.database import ArchivedDatabase, open_database
from greenpower.archive.months import begin_of_month
from greenpower.archive.run import run_archive
from greenpower.config import Settings
from greenpower.mongo.client import Document, sync_client
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create, revoke
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.mongo.readings.federated import FederatedReadings
from greenpower.mongo.rollups.source import newest_before
from greenpower.mongo.rollups.tier_view import read_tier_views
from greenpower.mongo.schema.layout import CORRECTIONS, ENERGY_DAYS, INCIDENTS, INTERVALS, WATERMARKS, ensure_indexes
from greenpower.mongo.visible import VisibleDatabase
from greenpower.rollups.backfill import backfill
from tests.archive.world import AFTER_DAYS, MARCH, MAY, archive, fill
from tests.rollups.world import POWER, World

DAY, HOUR, STEP = timedelta(days=1), timedelta(hours=1), timedelta(minutes=12)
KEEP_TIERS = {
    name: 0
    for name in (
        "mongo_today_ttl_seconds",
        "mongo_last_7_days_ttl_seconds",
        "mongo_last_30_days_ttl_seconds",
        "mongo_last_6_months_ttl_seconds",
        "mongo_this_year_ttl_seconds",
    )
}
OF_A_RUN = ("_id", "as_of", "updated_at", "made_at", "changed", "found_at", "seen_at", "noted_at")


class Twins:
    """Two databases with the same readings. Of one, old months are archived. begin: of the first month."""

    def __init__(self, worlds: list[World]) -> None:
        self.worlds = worlds
        self.now = worlds[0].now
        self.begin = begin_of_month(begin_of_month(self.now - timedelta(days=AFTER_DAYS + 62)) - DAY)
        self.second = begin_of_month(self.begin + 40 * DAY)

    def readings(self, number: int, begin: datetime, end: datetime, register: float) -> list[tuple[datetime, Any]]:
        found: list[tuple[datetime, Any]] = []
        at = begin + number * timedelta(minutes=1)
        while at < end:
            register = 2.0 if len(found) == 150 else register + 0.25
            values = {"g": round(20 + 5 * math.sin(len(found)), 2), "a": len(found) * 7 % 360, "c": register}
            found.append((at, values if len(found) % 7 else {"g": 1.5}))
            at += STEP
        return found

    def store(self, device: str, number: int, begin: datetime, end: datetime, register: float = 0.0) -> None:
        for world in self.worlds:
            world.store(POWER, device, self.readings(number, begin, end, register))

    def run(self) -> None:
        for world in self.worlds:
            world.run(POWER)

    def contents(self) -> list[list[Document]]:
        """What was computed in each, without what differs by run."""
        return [list(computed(world.db)) for world in self.worlds]

    def assert_same(self) -> None:
        archived, whole = self.contents()
        assert len(whole) > 1_000
        assert [row for row in archived if row not in whole] == []
        assert len(archived) == len(whole)


def computed(db: Database[Document]) -> Iterator[Document]:
    for name in (*POWER.collections[1:], INTERVALS, ENERGY_DAYS, INCIDENTS):
        for document in db[name].find().sort([("device_id", 1), ("timestamp", 1), ("day", 1), ("month", 1), ("at", 1)]):
            yield {"in": name, **{key: value for key, value in document.items() if key not in OF_A_RUN}}


@pytest.fixture
def twins(settings: Settings) -> Iterator[Twins]:
    with sync_client(settings) as client:
        worlds = []
        for suffix in ("", "_twin"):
            own = settings.model_copy(update={"mongo_db_name": settings.mongo_db_name + suffix, **KEEP_TIERS})
            client.drop_database(own.mongo_db_name)
            ensure_indexes(client[own.mongo_db_name], (POWER,), own)
            worlds.append(World(open_database(client, own, (POWER,)), own, datetime.now(UTC)))
        twins = Twins(worlds)
        month_end, now = twins.second, twins.now
        twins.store("D1", 0, month_end - DAY, month_end + DAY)
        twins.store("D2", 1, month_end - 2 * DAY, month_end - DAY, 500.0)
        twins.store("D1", 0, now - 2 * DAY, now - DAY, 100.0)
        twins.run()
        own = worlds[0].settings.model_copy(update={"archive_after_days": AFTER_DAYS})
        plain = client[own.mongo_db_name]
        run_archive(plain, POWER, own, clear_after=timedelta(0))
        done = run_archive(plain, POWER, own, clear_after=timedelta(0))
        assert done.deleted > 300
        assert isinstance(worlds[0].db, ArchivedDatabase)
        worlds[0].db.refresh()
        assert isinstance(worlds[0].db[POWER.collection], FederatedReadings)
        yield twins
        client.drop_database(worlds[1].settings.mongo_db_name)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_all_of_it_is_the_same(twins: Twins) -> None:
    twins.assert_same()
    now, month_end = twins.now, twins.second

    # A device that fell silent in an archived month goes on: what is before its new samples is in a file.
    twins.store("D2", 1, now - DAY, now - DAY + 5 * HOUR, 900.0)
    twins.run()
    twins.assert_same()

    # A late reading, at the edge of a month and far from any other.
    for world in twins.worlds:
        world.store(POWER, "D1", [(month_end - timedelta(seconds=5), {"g": 3.0, "c": 31.0})])
        world.store(POWER, "D3", [(month_end + 3 * DAY, {"g": 4.0, "c": 1.0})])
    twins.run()
    twins.assert_same()

    # A correction of samples, and its end.
    made = []
    for world in twins.worlds:
        new = NewCorrection(
            type=POWER.name, device_id="D1", field="c", kind=CorrectionKind.EXCLUSION,
            begin=month_end - 3 * HOUR, end=month_end + 2 * HOUR, reason="test", made_by="test",
        )  # fmt: skip
        made.append(create(world.db[CORRECTIONS], new)["_id"])
        invalidate_changed_corrections(world.db, (POWER,), world.settings)
    twins.run()
    twins.assert_same()
    before = twins.contents()[0]
    for world, correction in zip(twins.worlds, made, strict=True):
        revoke(world.db[CORRECTIONS], correction, "test", "test")
        invalidate_changed_corrections(world.db, (POWER,), world.settings)
    twins.run()
    twins.assert_same()
    assert twins.contents()[0] != before

    # Everything anew.
    for world in twins.worlds:
        for name in POWER.collections[1:]:
            world.db[name].delete_many({})
        backfill(world.db, POWER, world.settings, clock=world.clock)
    twins.assert_same()

    # The ledger anew, from the first reading.
    for world in twins.worlds:
        for name in (INTERVALS, ENERGY_DAYS):
            world.db[name].delete_many({})
        world.db[WATERMARKS].delete_one({"_id": f"{POWER.name}/{INTERVALS}"})
        world.run(POWER)
        world.run(POWER)
    twins.assert_same()

    # Energy between boundaries of which the ledger has nothing.
    boundaries = [month_end - DAY, month_end, month_end + HOUR, month_end + DAY]
    for world in twins.worlds:
        world.db[WATERMARKS].delete_one({"_id": f"{POWER.name}/{INTERVALS}"})
    read = [
        EnergyReader.open(world.db, POWER, world.settings, "c", twins.now).read(["D1", "D2", "D3"], boundaries)
        for world in twins.worlds
    ]
    assert read[0] == read[1] and any(stretch.energy for stretch in read[0]["D1"].stretches)


def test_what_expires_in_mongodb_is_whole_in_the_archive(twins: Twins) -> None:
    world = twins.worlds[0]
    # MongoDB's readings begin in the middle of the last archived month, on whatever day this runs.
    held = twins.now - twins.second - 10 * DAY
    own = {"mongo_raw_ttl_seconds": int(held.total_seconds()), "archive_after_days": AFTER_DAYS}
    kept = world.settings.model_copy(update=own)
    readings = read_tier_views(world.db, POWER, kept)[0]
    assert readings.whole_from <= twins.second - 2 * DAY
    assert isinstance(world.db, ArchivedDatabase)
    plain = world.db.client[world.settings.mongo_db_name]
    assert read_tier_views(plain, POWER, kept)[0].whole_from > twins.now - held
    backfill(world.db, POWER, kept, since=twins.second - DAY, until=twins.second, clock=world.clock)
    twins.assert_same()


@pytest.mark.parametrize("seen", [{"D1"}, {"D1", "D2"}])
def test_who_sees_some_devices_gets_the_newest_readings_of_those(
    db: Database[Document], settings: Settings, seen: set[str]
) -> None:
    """Readings before a time, of MongoDB and of the archive."""
    stored = fill(db)
    for _ in range(2):
        archive(db, settings)
    visible = VisibleDatabase(ArchivedDatabase(db, settings, (POWER,)), frozenset(seen))
    readings, buckets = (visible[name] for name in POWER.collections[:2])
    assert isinstance(readings, FederatedReadings)
    for time in (MARCH + HOUR, MAY - DAY, MAY + HOUR, MAY + 30 * DAY):
        found = {row[0]: row[1:] for row in newest_before(readings, buckets, ["D1", "D2"], time, 3, 2, 4)}
        assert found.keys() == seen
        for device, (newest, made, times) in found.items():
            plain = sorted(one["timestamp"] for one in stored if one["device_id"] == device and one["timestamp"] < time)
            assert [one["timestamp"] for one in newest] == plain[-3:]
            assert made == [] and times == plain[-4:]
