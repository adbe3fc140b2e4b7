"""What the ledger costs: queries use its index, ten years of a hundred devices are few of them, documents are small."""

from __future__ import annotations

import random
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from pymongo.database import Database

from greenpower.measure.slot import Slot
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger import close_days, ledger_written_at, write_slots
from greenpower.mongo.energy.ledger_part import QUARTER, LedgerPart, day_of
from greenpower.mongo.energy.ledger_plan import documents_needed
from greenpower.mongo.energy.ledger_read import ledger_register_before, read_stretches
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS
from tests.mongo.energy.plain_ledger import DAY, NOW, as_of, make_slot
from tests.mongo.query_plans import recorded

COUNTER = "energy"
# What a full day of 96 quarter-hours takes on disk, with its share of the indexes; the registers are most of it.
MOST_OF_DAY = 1_900


def device(number: int) -> str:
    return f"M{number:03}"


def full_day(day: datetime, register: int, rnd: random.Random) -> list[Slot]:
    """What a meter of 30 s and of a watt-hour counts on a day; register: in Wh."""
    slots = []
    for number in range(96):
        start = day + number * QUARTER
        register += (counted := rnd.randrange(100, 2_500))
        at = start + timedelta(seconds=870 + rnd.randrange(30))
        slots.append(Slot(start=start, energy=counted * 1000, n=30, last=register / 1000, last_at=at))
    return slots


def write_days(db: Database[Document], days: list[datetime], devices: int, number: int = 1) -> None:
    rnd = random.Random(number)
    parts = [
        LedgerPart(device=device(n), field=COUNTER, begin=day, end=day + DAY, slots=full_day(day, n * 10**6, rnd))
        for day in days
        for n in range(devices)
    ]
    assert write_slots(db, "meter", parts, as_of(number), NOW) == set()


def test_queries_use_the_index_and_read_what_they_give(db: Database[Document]) -> None:
    first = datetime(2027, 12, 1, tzinfo=UTC)
    days = [first + number * DAY for number in range(70)]
    for number, (type_name, field) in enumerate((("meter", COUNTER), ("meter", "other"), ("else", COUNTER))):
        parts = [
            LedgerPart(device=device(n), field=field, begin=day, end=day + QUARTER, slots=[make_slot(day)])
            for day in days
            for n in range(20)
        ]
        write_slots(db, type_name, parts, as_of(number), NOW)
        close_days(db, type_name, first, first + 70 * DAY, NOW)
    some = [device(number) for number in range(3, 9)]
    hours = [first + DAY + number * timedelta(hours=1) for number in range(50)]
    months = [datetime(2027, 12, 5, 18, 15, tzinfo=UTC), datetime(2028, 1, 5, 18, 15, tzinfo=UTC)]
    with recorded(db) as record:
        read_stretches(db, "meter", COUNTER, some, hours)
        read_stretches(db, "meter", COUNTER, some, months)
        ledger_register_before(db, "meter", COUNTER, some, first + 40 * DAY)
        ledger_register_before(db, "meter", COUNTER, some, first + 40 * DAY + QUARTER)
        ledger_written_at(db, "meter", first, first + DAY, None, as_of(0))
        again = [LedgerPart(device=one, field=COUNTER, begin=days[9], end=days[10], slots=[]) for one in some]
        write_slots(db, "meter", again, as_of(9), NOW)
        close_days(db, "meter", days[20], days[22], NOW)
    asked = [one for one in record.asked if one.collection in (INTERVALS, ENERGY_DAYS, "$cmd.aggregate")]
    assert {one.collection for one in asked} >= {INTERVALS, ENERGY_DAYS}
    for one in asked:
        assert not one.stages & {"COLLSCAN", "SORT"}, str(one)
        assert one.examined <= max(one.returned, 2 * len(some)), str(one)


def months_of(zone: Any) -> list[datetime]:
    return [datetime(2016 + n // 12, 1 + n % 12, 1, tzinfo=zone).astimezone(UTC) for n in range(121)]


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_years_of_a_hundred_devices_by_month(db: Database[Document]) -> None:
    """How long it takes is printed. Only days that are read are full; the others have a sample each."""
    zones = {"UTC": UTC, "+05:45": ZoneInfo("Asia/Kathmandu")}
    cut = {day_of(boundary) for boundary in months_of(zones["+05:45"])}
    first, devices = min(cut), [device(number) for number in range(100)]
    days = [first + number * DAY for number in range(3_660)]
    for begin in range(0, len(days), 100):
        several = days[begin : begin + 100]
        write_days(db, [day for day in several if day in cut], 100, begin + 1)
        parts = [
            LedgerPart(device=one, field=COUNTER, begin=day, end=day + QUARTER, slots=[make_slot(day)])
            for day in several
            if day not in cut
            for one in devices
        ]
        write_slots(db, "meter", parts, as_of(begin + 1), NOW)
        close_days(db, "meter", several[0], several[-1] + DAY, NOW)
    for name, zone in zones.items():
        boundaries = months_of(zone)
        started, used = time.perf_counter(), time.process_time()
        found = read_stretches(db, "meter", COUNTER, devices, boundaries)
        took, cpu = time.perf_counter() - started, time.process_time() - used
        print(f"{name}: {documents_needed(boundaries, 100)} documents in {took:.2f} s ({cpu:.2f} s of CPU here)")
        assert len(found) == 100 and all(stretch.samples for stretch in found[devices[0]])


def test_a_document_is_as_small_as_promised(db: Database[Document]) -> None:
    write_days(db, [datetime(2028, 1, 1, tzinfo=UTC) + number * DAY for number in range(31)], 60)
    close_days(db, "meter", datetime(2028, 1, 1, tzinfo=UTC), datetime(2028, 2, 1, tzinfo=UTC), NOW)
    db.client.admin.command("fsync")
    for name, count, most in ((INTERVALS, 60 * 31, MOST_OF_DAY), (ENERGY_DAYS, 60, None)):
        stats = db.command("collStats", name)
        assert stats["count"] == count
        stored = (stats["storageSize"] + stats["totalIndexSize"]) / count
        print(f"{name}: {stats['size'] / count:.0f} bytes each, {stored:.0f} on disk with its indexes")
        # So few documents of months fill no block that could be compressed.
        assert most is None or stored <= most
