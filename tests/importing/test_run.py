"""Imports into a real server: marked, merged as ingest merges, twice is once, killed is run again, archived months."""

from __future__ import annotations

import random
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.archive.columns import plain_bytes
from greenpower.archive.run import run_archive
from greenpower.config import Settings
from greenpower.importing.tally import Tally
from greenpower.mongo.client import Document
from greenpower.mongo.readings.clock_mark import ARRIVAL, ARRIVAL_IMPORTED, IMPORTED
from greenpower.mongo.rollups.watermarks import key
from greenpower.mongo.schema.layout import INVALIDATIONS, WATERMARKS
from tests.archive.world import archiving, everything, make_reading
from tests.importing.files import as_csv, import_bytes
from tests.rollups.world import POWER

BEGIN = datetime(2023, 5, 1, tzinfo=UTC)
HOUR = timedelta(hours=1)
Row = dict[str, Any]


def rows(count: int = 250, devices: int = 2) -> list[Row]:
    return [
        {
            "device_id": f"D{device}",
            "timestamp": (BEGIN + number * HOUR).isoformat(),
            "g": number / 4,
            "c": 1000 + number + device,
        }
        for number in range(count)
        for device in range(devices)
    ]


def stored(db: Database[Document]) -> list[bytes]:
    """All readings, with everything in them."""
    return sorted(plain_bytes(document) for document in db[POWER.collection].find())


def outcome(tally: Tally) -> tuple[int, int, int]:
    return tally.stored, tally.duplicate, tally.refused.total()


def reading(db: Database[Document]) -> Mapping[str, Any]:
    [found] = db[POWER.collection].find()
    return found


def test_rows_become_readings_that_say_where_they_are_from(db: Database[Document], settings: Settings) -> None:
    tally = import_bytes(settings, POWER, as_csv(rows(3, 1)))
    assert outcome(tally) == (3, 0, 0) and tally.is_clean
    found = list(db[POWER.collection].find().sort("timestamp"))
    assert [one["timestamp"] for one in found] == [BEGIN + number * HOUR for number in range(3)]
    assert [one["payload"] for one in found] == [{"g": n / 4, "c": 1000 + n} for n in range(3)]
    assert {(one["clock"], one["topic"], one["complete"]) for one in found} == {(IMPORTED, "import", True)}


def test_a_file_twice_changes_nothing(db: Database[Document], settings: Settings) -> None:
    data = as_csv(rows())
    assert outcome(import_bytes(settings, POWER, data)) == (500, 0, 0)
    before = stored(db)
    again = import_bytes(settings, POWER, data)
    assert outcome(again) == (0, 500, 0) and again.is_clean
    assert stored(db) == before


@pytest.mark.parametrize("batch_rows", [1, 7, 10_000])
def test_any_order_and_batches_give_the_same(db: Database[Document], settings: Settings, batch_rows: int) -> None:
    some = rows(60)
    random.Random(batch_rows).shuffle(some)
    assert outcome(import_bytes(settings, POWER, as_csv(some), batch_rows=batch_rows)) == (120, 0, 0)
    found = {(one["device_id"], one["timestamp"].isoformat()): one["payload"] for one in db[POWER.collection].find()}
    assert found == {(one["device_id"], one["timestamp"]): {"g": one["g"], "c": one["c"]} for one in some}


def test_an_interrupted_run_can_be_run_again(db: Database[Document], settings: Settings) -> None:
    data = as_csv(rows())
    first = import_bytes(settings, POWER, data, stop_after=2, batch_rows=100)
    assert outcome(first) == (200, 0, 0)
    # Killed after the readings were stored and before what is to be computed was noted.
    db[INVALIDATIONS].delete_many({})
    assert outcome(import_bytes(settings, POWER, data)) == (300, 200, 0)
    hours = {(one["device_id"], one["hour"]) for one in db[INVALIDATIONS].find({"type": "power"})}
    assert hours == {(f"D{device}", BEGIN + number * HOUR) for device in range(2) for number in range(250)}


def test_a_dry_run_counts_the_same_and_writes_nothing(db: Database[Document], settings: Settings) -> None:
    import_bytes(settings, POWER, as_csv(rows(20)))
    before = stored(db)
    db[INVALIDATIONS].delete_many({})
    some = rows(30)
    some[0]["g"] = 99  # another value than is stored
    some[5]["timestamp"] = "never"
    data = as_csv(some)
    dry = import_bytes(settings, POWER, data, dry_run=True)
    assert stored(db) == before and not db[INVALIDATIONS].count_documents({})
    wet = import_bytes(settings, POWER, data)
    assert dry.document() == wet.document() and outcome(wet) == (20, 39, 1) and wet.conflicts == 1


def test_the_first_value_stays_and_the_other_is_named(db: Database[Document], settings: Settings) -> None:
    one = rows(1, 1)
    import_bytes(settings, POWER, as_csv(one))
    one[0] |= {"c": 5, "s": 7}
    tally = import_bytes(settings, POWER, as_csv(one))
    assert outcome(tally) == (1, 0, 0) and tally.conflicts == 1
    assert [(item.line, item.column, item.reason) for item in tally.problems] == [(2, "c", "conflict")]
    assert reading(db)["payload"] == {"g": 0.0, "c": 1000, "s": 7}


def test_rows_of_one_time_in_a_file_are_one_reading(db: Database[Document], settings: Settings) -> None:
    at = BEGIN.isoformat()
    data = f"device_id,timestamp,field,value\nD,{at},g,1\nE,{at},g,1\nD,{at},c,2\nD,{at},g,3\n".encode()
    tally = import_bytes(settings, POWER, data)
    assert outcome(tally) == (3, 0, 0) and tally.conflicts == 1 and tally.rows == 3
    assert db[POWER.collection].find_one({"device_id": "D"}, {"_id": 0, "payload": 1}) == {"payload": {"g": 1, "c": 2}}


@pytest.mark.parametrize(("before", "after"), [(None, IMPORTED), (ARRIVAL, ARRIVAL_IMPORTED), (IMPORTED, IMPORTED)])
def test_what_a_device_sent_is_marked_where_a_file_adds_to_it(
    db: Database[Document], settings: Settings, before: str | None, after: str
) -> None:
    more = {} if before is None else {"clock": before}
    db[POWER.collection].insert_one(make_reading("D0", BEGIN, {"s": 1}, **more) | {"complete": False})
    old = reading(db)
    same = as_csv([{"device_id": "D0", "timestamp": BEGIN.isoformat(), "s": 1}])
    assert outcome(import_bytes(settings, POWER, same)) == (0, 1, 0)
    assert reading(db) == old
    assert outcome(import_bytes(settings, POWER, as_csv(rows(1, 1)))) == (1, 0, 0)
    found = reading(db)
    assert (found["payload"], found["clock"]) == ({"s": 1, "g": 0.0, "c": 1000}, after)
    assert found["complete"] is False and found["updated_at"] > old["updated_at"]
    assert list(found)[-1] == "clock"  # as the columns of the archive have it


def test_unknown_devices_are_refused_and_named(db: Database[Document], settings: Settings) -> None:
    tally = import_bytes(settings, POWER, as_csv(rows(10)), known=["D0"])
    assert outcome(tally) == (10, 0, 10) and list(tally.unknown) == ["D1"]
    assert tally.refused == {"unknown-device": 10}
    assert db[POWER.collection].distinct("device_id") == ["D0"]


def test_what_would_expire_at_once_is_refused_with_the_setting(db: Database[Document], settings: Settings) -> None:
    short = settings.model_copy(update={"mongo_raw_ttl_seconds": 7 * 86_400})
    some = rows(2, 1)
    some[1]["timestamp"] = (datetime.now(UTC) - timedelta(days=6)).isoformat()
    tally = import_bytes(short, POWER, as_csv(some))
    assert outcome(tally) == (1, 0, 1)
    assert [(one.line, one.reason) for one in tally.problems] == [(2, "expired")]
    assert "MONGO_RAW_TTL_SECONDS" in tally.problems[0].detail


def test_what_lies_before_kept_totals_is_refused(db: Database[Document], settings: Settings) -> None:
    noted = {"_id": key("power", ""), "type": "power", "prefix": "", "complete_from": BEGIN + HOUR}
    db[WATERMARKS].insert_one(noted)
    tally = import_bytes(settings, POWER, as_csv(rows(3, 1)))
    assert outcome(tally) == (2, 0, 1) and tally.refused == {"kept-totals": 1}


def test_a_file_that_breaks_off_is_stored_as_far_as_it_goes(db: Database[Document], settings: Settings) -> None:
    tally = import_bytes(settings, POWER, as_csv(rows(100)) + b'D0,"2023')
    assert outcome(tally) == (200, 0, 0) and "line 202" in tally.error and not tally.is_clean


def test_archived_months_take_imports(db: Database[Document], settings: Settings) -> None:
    """Before, within and after an archive run that deletes: the same readings as without an archive."""
    some = rows(1_000)
    import_bytes(settings, POWER, as_csv(some[:1_200]))
    db[POWER.collection].insert_one(make_reading("D9", datetime.now(UTC), {"g": 1}))
    using = archiving(settings)
    for _ in range(2):
        run_archive(db, POWER, using, clear_after=timedelta(0))
    kept = db[POWER.collection].count_documents({})
    assert kept < 10
    whole = everything(db, settings)
    data = as_csv(some[:1_200])
    assert outcome(import_bytes(settings, POWER, data, dry_run=True)) == (0, 1_200, 0)
    assert outcome(import_bytes(settings, POWER, data)) == (0, 1_200, 0)
    assert everything(db, settings) == whole
    other = [{**one, "s": 3} for one in some[:10]]
    assert outcome(import_bytes(settings, POWER, as_csv(other), dry_run=True)) == (10, 0, 0)
    assert outcome(import_bytes(settings, POWER, as_csv(other))) == (10, 0, 0)
    assert outcome(import_bytes(settings, POWER, as_csv(some))) == (800, 1_200, 0)
    for _ in range(3):
        run_archive(db, POWER, using, clear_after=timedelta(0))
    assert db[POWER.collection].count_documents({}) < 10
    assert len(everything(db, settings)) == 2_001
    assert outcome(import_bytes(settings, POWER, as_csv(some + other))) == (0, 2_010, 0)
