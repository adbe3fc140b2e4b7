"""The interval ledger in a real MongoDB: what is written is what is read, in any order."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone

import pytest
from pymongo.database import Database

from greenpower.measure.slot import ESTIMATED, OPEN
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger import close_days, ledger_written_at, write_slots
from greenpower.mongo.energy.ledger_part import QUARTER, LedgerPart, day_of
from greenpower.mongo.energy.ledger_read import ledger_register_before, read_stretches
from greenpower.mongo.rollups.watermarks import move_watermark
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS, WATERMARKS
from tests.mongo.energy.ledger_world import HOUR, contents, energy, part, quarter
from tests.mongo.energy.plain_ledger import (
    DAY,
    NOW,
    TYPE,
    PlainLedger,
    as_of,
    estimated,
    make_hold,
    make_slot,
    make_slots,
)

D0 = datetime(2027, 12, 30, tzinfo=UTC)
END = datetime(2028, 3, 2, tzinfo=UTC)  # a leap year
DEVICES, FIELDS = ("A", "B", "C"), ("import", "export")


def random_boundaries(rnd: random.Random) -> list[datetime]:
    """Of one of several bucket lengths, at any quarter-hour, or months of a zone whose midnight is at 18:15."""
    if rnd.random() < 0.3:
        months = [(2028, 1), (2028, 2), (2028, 3)]
        return [datetime(y, m, 1, tzinfo=UTC) - rnd.choice((0, 1)) * timedelta(hours=5, minutes=45) for y, m in months]
    length = rnd.choice((QUARTER, HOUR, DAY, 7 * DAY, 23 * HOUR))
    first = D0 + rnd.randrange(96 * 50) * QUARTER
    return [first + number * length for number in range(rnd.randrange(2, 40)) if first + number * length <= END]


@pytest.mark.parametrize("seed", range(4))
def test_stretches_and_registers_are_those_of_plain_sums(db: Database[Document], seed: int) -> None:
    rnd = random.Random(seed)
    plain = PlainLedger()
    closed = D0
    for number in range(40):
        parts = []
        for device in DEVICES:
            for field in FIELDS:
                if rnd.random() < 0.5:
                    begin = D0 + rnd.randrange(96 * 60) * QUARTER
                    end = min(END, begin + rnd.choice((1, 2, 12, 96, 96 * 3, 96 * 20)) * QUARTER)
                    slots = make_slots(begin, end, rnd, rnd.choice((0.0, 0.1, 0.9)))
                    parts.append(LedgerPart(device=device, field=field, begin=begin, end=end, slots=slots))
        assert write_slots(db, TYPE, parts, as_of(number), NOW) == set()
        for one in parts:
            plain.put(one)
        if number % 10 == 5:  # days are closed while others are still written, also ones that are over
            later = min(END, closed + timedelta(days=20, hours=rnd.randrange(24)))
            assert close_days(db, TYPE, closed, later, NOW) == set()
            closed = later
    close_days(db, TYPE, closed, END, NOW)
    for _ in range(60):
        boundaries, field = random_boundaries(rnd), rnd.choice(FIELDS)
        found = read_stretches(db, TYPE, field, [*DEVICES, "unknown"], boundaries)
        assert "unknown" not in found
        carries = ledger_register_before(db, TYPE, field, DEVICES, boundaries[0])
        for device in DEVICES:
            expected = plain.stretches(device, field, boundaries)
            assert found.get(device, [type(one)() for one in expected]) == expected
            carry = carries.get(device)
            before = None if carry is None else (carry.value, carry.at)
            assert before == plain.register_before(device, field, boundaries[0])


def test_writing_again_changes_nothing(db: Database[Document]) -> None:
    rnd = random.Random(7)
    parts = [part(D0, END, make_slots(D0, END, rnd), device) for device in DEVICES]
    write_slots(db, TYPE, parts, as_of(1), NOW)
    close_days(db, TYPE, D0, END, NOW)
    before = contents(db)
    assert len(before[0]) == 3 * 63 and len(before[1]) == 3 * 4
    for number in (1, 2):
        assert write_slots(db, TYPE, parts, as_of(number), NOW) == set()
        assert close_days(db, TYPE, D0, END, NOW) == set()
        assert contents(db) == before


def test_a_stretch_that_has_fewer_slots_now_loses_the_others(db: Database[Document]) -> None:
    day = D0 + DAY
    slots = [make_slot(day + number * QUARTER, 1) for number in range(96)]
    write_slots(db, TYPE, [part(day, day + DAY, slots)], as_of(1), NOW)
    close_days(db, TYPE, day, day + DAY, NOW)
    write_slots(db, TYPE, [part(day + HOUR, day + 3 * HOUR, slots[4:6])], as_of(2), NOW)
    assert [energy(db, day + n * HOUR, day + (n + 1) * HOUR) for n in range(4)] == [4, 2, 0, 4]
    assert energy(db, day, day + DAY) == 90
    [stored] = db[INTERVALS].find()
    assert (stored["total"], stored["samples"]) == (90, 90 * 3)
    assert (stored["last"], stored["last_at"]) == (slots[-1].last, slots[-1].last_at)


@pytest.mark.parametrize("flags", [0, ESTIMATED])
def test_days_of_deltas_are_closed_though_they_have_no_register(db: Database[Document], flags: int) -> None:
    slots = [make_slot(D0 + number * QUARTER, number, last=None, flags=flags) for number in range(50)]
    assert write_slots(db, TYPE, [part(D0, D0 + DAY, slots)], as_of(1), NOW) == set()
    for _ in range(2):
        assert close_days(db, TYPE, D0, D0 + DAY, NOW) == set()
    assert write_slots(db, TYPE, [part(D0, D0 + DAY, slots[1:])], as_of(2), NOW) == set()
    assert energy(db, D0, D0 + DAY) == sum(range(50))
    [month] = db[ENERGY_DAYS].find()
    assert month["samples"] == 49 * 3 and month["last"] is None


def test_what_is_empty_goes(db: Database[Document]) -> None:
    day = D0
    write_slots(db, TYPE, [quarter(day), quarter(day, device="B")], as_of(1), NOW)
    close_days(db, TYPE, day, day + DAY, NOW)
    write_slots(db, TYPE, [part(day, day + DAY, [])], as_of(2), NOW)
    assert [document["device_id"] for name in (INTERVALS, ENERGY_DAYS) for document in db[name].find()] == ["B", "B"]
    assert energy(db, day, day + DAY) is None


def test_a_newer_result_stays_and_is_named(db: Database[Document]) -> None:
    write_slots(db, TYPE, [quarter(D0, 5)], as_of(9), NOW)
    late = [quarter(D0, 1), quarter(D0 + HOUR, 1), quarter(D0 + DAY, 1), quarter(D0, 1, device="B")]
    assert write_slots(db, TYPE, late, as_of(8), NOW) == {("A", D0)}
    assert energy(db, D0, D0 + HOUR) == 5
    assert energy(db, D0 + HOUR, D0 + 2 * HOUR) == 0
    assert energy(db, D0, D0 + HOUR, "B") == 1
    assert ledger_written_at(db, TYPE, D0, D0 + HOUR, None, as_of(8)) == {("B", D0)}
    assert ledger_written_at(db, TYPE, D0, D0 + 2 * DAY, ["A"], as_of(8)) == {("A", D0 + DAY)}


def test_a_month_is_what_its_days_are(db: Database[Document]) -> None:
    """Whatever was written first: only days have an order of runs."""
    write_slots(db, TYPE, [quarter(D0, 5), quarter(D0 + DAY, 7)], as_of(1), NOW)
    close_days(db, TYPE, D0, D0 + 2 * DAY, NOW)
    for number, energies in ((8, 6), (8, 4), (10, 9)):
        assert write_slots(db, TYPE, [quarter(D0, energies)], as_of(number), NOW) == set()
        assert energy(db, D0, D0 + DAY) == energies
    assert write_slots(db, TYPE, [quarter(D0, 1)], as_of(9), NOW) == {("A", D0)}
    assert energy(db, D0, D0 + DAY) == 9


def test_a_day_on_which_a_device_fell_silent_is_closed_too(db: Database[Document]) -> None:
    write_slots(db, TYPE, [quarter(D0 + 10 * HOUR, 5)], as_of(1), NOW)
    close_days(db, TYPE, D0 + 23 * HOUR, D0 + 25 * HOUR, NOW)
    assert energy(db, D0, D0 + DAY) == 5
    # Within a day there is nothing to close.
    write_slots(db, TYPE, [quarter(D0 + 30 * HOUR, 5)], as_of(3), NOW)
    close_days(db, TYPE, D0 + 25 * HOUR, D0 + 31 * HOUR, NOW)
    assert [document["samples"] for document in db[ENERGY_DAYS].find()] == [3]


def test_a_day_before_days_without_readings_is_closed_too(db: Database[Document]) -> None:
    """What is computed goes on days later; a run that was killed while it closed them has left only its mark."""
    write_slots(db, TYPE, [quarter(D0 + 10 * HOUR, 5)], as_of(1), NOW)
    move_watermark(db[WATERMARKS], TYPE, INTERVALS, D0 + 22 * HOUR)
    later = D0 + 3 * DAY + 10 * HOUR
    move_watermark(db[WATERMARKS], TYPE, ENERGY_DAYS, D0 + 3 * DAY)
    assert energy(db, D0, D0 + DAY) is None
    close_days(db, TYPE, later, later + HOUR, NOW)
    assert energy(db, D0, D0 + DAY) == 5


def test_boundaries_of_another_zone_are_the_same_times(db: Database[Document]) -> None:
    zone = timezone(timedelta(hours=5, minutes=45))
    write_slots(db, TYPE, [quarter(D0 + number * QUARTER, number) for number in range(96)], as_of(1), NOW)
    close_days(db, TYPE, D0, D0 + DAY, NOW)
    for boundaries in ([D0 + 18 * HOUR, D0 + 20 * HOUR], [D0, D0 + DAY], [D0 - DAY, D0 + 5 * HOUR, D0 + DAY]):
        local = [boundary.astimezone(zone) for boundary in boundaries]
        assert read_stretches(db, TYPE, "import", ["A"], local) == read_stretches(db, TYPE, "import", ["A"], boundaries)
        before = [ledger_register_before(db, TYPE, "import", ["A"], time) for time in (boundaries[-1], local[-1])]
        assert before[0] == before[1] != {}


def test_buckets_never_replace_what_readings_gave(db: Database[Document]) -> None:
    exact = part(D0 + 7 * HOUR, D0 + 8 * HOUR, [make_slot(D0 + 7 * HOUR, 10)])
    write_slots(db, TYPE, [exact], as_of(1), NOW)
    # Windows of 3 h: the one with the quarter-hour is left alone, the others are taken.
    coarse = estimated(make_slot(D0 + n * HOUR + 3 * QUARTER, 1000 + n) for n in (2, 5, 8, 11))
    write_slots(db, TYPE, [part(D0, D0 + 12 * HOUR, coarse, resolution=10_800)], as_of(2), NOW)
    assert [energy(db, D0 + n * HOUR, D0 + (n + 3) * HOUR) for n in (0, 3, 6, 9)] == [1002, 1005, 10, 1011]
    [stretch] = read_stretches(db, TYPE, "import", ["A"], [D0, D0 + 6 * HOUR])["A"]
    assert (stretch.resolution, stretch.flags) == (10_800, ESTIMATED)
    [stretch] = read_stretches(db, TYPE, "import", ["A"], [D0 + 6 * HOUR, D0 + 9 * HOUR])["A"]
    assert (stretch.resolution, stretch.flags) == (None, 0)
    # Longer buckets replace neither; the same ones do, and so do readings.
    longer = estimated([make_slot(D0 + 5 * HOUR, 1), make_slot(D0 + 11 * HOUR, 1)])
    write_slots(db, TYPE, [part(D0, D0 + 12 * HOUR, longer, resolution=21_600)], as_of(3), NOW)
    assert energy(db, D0, D0 + 12 * HOUR) == 1002 + 1005 + 10 + 1011
    write_slots(db, TYPE, [part(D0, D0 + 3 * HOUR, coarse[1:1], resolution=10_800)], as_of(4), NOW)
    assert energy(db, D0, D0 + 12 * HOUR) == 1005 + 10 + 1011
    readings = [make_slot(D0 + n * QUARTER, 1) for n in range(48)]
    write_slots(db, TYPE, [part(D0, D0 + 12 * HOUR, readings)], as_of(5), NOW)
    assert energy(db, D0, D0 + 12 * HOUR) == 48
    assert [document["resolution"] for document in db[INTERVALS].find()] == [None]


def test_a_register_before_is_found_however_long_ago_with_its_fall(db: Database[Document]) -> None:
    fall = make_hold(D0 + 9 * HOUR)
    slots = [make_slot(D0 + 8 * HOUR, 5), make_slot(D0 + 9 * HOUR, 6), make_slot(D0 + 15 * HOUR, 7)]
    holds = {D0 + 9 * HOUR + 2 * QUARTER: fall.to_document()}
    write_slots(db, TYPE, [part(D0, D0 + DAY, slots, holds=holds)], as_of(1), NOW)

    def before(time: datetime) -> tuple[float, datetime, object] | None:
        found = ledger_register_before(db, TYPE, "import", ["A", "B"], time)
        return (found["A"].value, found["A"].at, found["A"].hold) if found else None

    assert before(D0) is None
    assert before(D0 + 8 * HOUR) is None
    assert before(D0 + 9 * HOUR) == (slots[0].last, slots[0].last_at, None)
    assert before(D0 + 12 * HOUR) == (slots[1].last, slots[1].last_at, fall)
    for years in (0, 1, 20):
        after = D0.replace(year=D0.year + years) + 40 * DAY
        assert before(after) == before(after + HOUR) == (slots[2].last, slots[2].last_at, None)
    # All of a later day comes after the time.
    later = D0 + 400 * DAY
    write_slots(db, TYPE, [quarter(later + 12 * HOUR)], as_of(2), NOW)
    assert before(later + HOUR) == (slots[2].last, slots[2].last_at, None)
    with pytest.raises(ValueError):
        before(later + timedelta(minutes=1))


def test_a_fall_goes_with_the_samples_that_showed_it(db: Database[Document]) -> None:
    fall = make_hold(D0 + 9 * HOUR).to_document()
    times = [D0 + (9 + number) * HOUR for number in range(3)]
    slots = [make_slot(time) for time in times]
    holds = {time + HOUR: fall for time in times}
    write_slots(db, TYPE, [part(D0, D0 + 2 * DAY, slots, holds=holds)], as_of(1), NOW)
    [stored] = db[INTERVALS].find()
    assert [hold["slot"] for hold in stored["holds"]] == [36, 40, 44]
    write_slots(db, TYPE, [part(times[2], times[2] + HOUR, [])], as_of(2), NOW)
    carry = ledger_register_before(db, TYPE, "import", ["A"], D0 + 5 * DAY)["A"]
    assert carry.at == slots[1].last_at and carry.hold is not None
    write_slots(db, TYPE, [part(times[1], times[2], [slots[1]])], as_of(3), NOW)
    assert ledger_register_before(db, TYPE, "import", ["A"], D0 + 5 * DAY)["A"].hold is None


def test_registers_beyond_belief_stop_nobody(db: Database[Document]) -> None:
    slots = [make_slot(D0, 10**30, last=2**62), make_slot(D0 + QUARTER, 5, silence_s=10**12)]
    assert write_slots(db, TYPE, [part(D0, D0 + HOUR, slots), quarter(D0, 3, device="B")], as_of(1), NOW) == set()
    [stretch] = read_stretches(db, TYPE, "import", ["A"], [D0, D0 + HOUR])["A"]
    assert stretch.energy == 5 and stretch.flags & OPEN
    assert energy(db, D0, D0 + HOUR, "B") == 3


def test_a_part_that_is_not_of_whole_quarter_hours_is_a_programs_error() -> None:
    for begin, end, slots in (
        (D0 + timedelta(minutes=1), D0 + HOUR, []),
        (D0, D0 + timedelta(minutes=1), []),
        (D0, D0 + HOUR, [make_slot(D0 + HOUR)]),
        (D0 + HOUR, D0 + 2 * HOUR, [make_slot(D0)]),
    ):
        with pytest.raises(ValueError):
            part(begin, end, slots)
    assert day_of(D0 + HOUR) == D0
