"""Writing the interval ledger: the quarter-hours of each day, and the totals of days that are over.

`energy_intervals` has a document per counter and UTC day, `energy_days` one per counter and UTC month. A day is closed
once its totals are in `energy_days`; from then on whatever changes the day changes its totals too. What belongs here:
what is written where, and in which order. What does not: which stretches are computed (`greenpower.rollups`), reading
(`greenpower.mongo.energy.ledger_read`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from pymongo import ASCENDING
from pymongo.database import Database

from greenpower.mongo.client import Document
from greenpower.mongo.energy.day_total import DayTotal, put_days
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, DayPart, LedgerDay, LedgerPart, by_day, day_of, month_of
from greenpower.mongo.energy.ledger_write import MAX_REWRITE_ATTEMPTS, UNCHANGED, LedgerKey, Rewriter, key_queries
from greenpower.mongo.energy.slot_append import append
from greenpower.mongo.rollups.watermarks import move_watermark, read_progress, take_as_of
from greenpower.mongo.schema.layout import ENERGY_DAYS, INTERVALS, WATERMARKS

# Days of counters that are held in memory at once.
DAYS_PER_STEP = 50_000
DAYS_PER_BATCH = 1_000

# What closing a day again finds the same.
CONTENT = ("slots", "first_quarters", "resolution")

# A device and a UTC day of it, by its start.
DeviceDay = tuple[str, datetime]


def write_slots(
    db: Database[Document],
    type_name: str,
    parts: Iterable[LedgerPart],
    as_of: datetime,
    now: datetime,
    turned: dict[str, datetime] | None = None,
) -> set[DeviceDay]:
    """Put what was computed into the ledger. now: the time that is kept as that of the writing. turned: gets the
    devices that have other open falls now, with the first quarter-hour at whose end that is so.

    Returns the days that were not written, because a newer run holds them: they have to be computed again. Raises
    PyMongoError; writing again is safe.
    """
    pieces: defaultdict[LedgerKey, list[DayPart]] = defaultdict(list)
    for part in parts:
        for day, piece in by_day(part):
            pieces[part.device, part.field, day].append(piece)
    made: dict[LedgerKey, Document | None] = {}

    def change(key: LedgerKey, document: Document | None) -> Document | None:
        parts = pieces[key]
        if len(parts) == 1 and (changed := append(key[2], document, parts[0], now)) is not None:
            made[key] = changed
            return changed
        found = LedgerDay.read(key[2], document)
        for piece in parts:
            found.put(piece)
        total = DayTotal.of(found)
        made[key] = changed = None if total is None else found.document(total.slots, now)
        return changed

    holds: dict[LedgerKey, datetime] = {}

    def change_and_compare(key: LedgerKey, document: Document | None) -> Document | None:
        changed = change(key, document)
        if (slot := _first_turned(document, changed)) is not None:
            holds[key] = key[2] + slot * QUARTER
        return changed

    wanted = change if turned is None else change_and_compare
    refused = Rewriter(db[INTERVALS], type_name, "day", as_of).rewrite(sorted(pieces), wanted)
    if turned is not None:
        for (device, _, _), time in holds.items():
            turned[device] = min(time, turned.get(device, time))
    # Read after the quarter-hours are written: whoever closes a day later than that finds them.
    closed = read_progress(db[WATERMARKS], type_name, ENERGY_DAYS).watermark
    if closed is not None:
        over = [key for key in pieces if key not in refused and key[2] + DAY <= closed]
        refused |= _write_days(db, type_name, {key: DayTotal.of_document(made[key]) for key in over}, now)
    return {(device, day) for device, _, day in refused}


def _first_turned(before: Document | None, after: Document | None) -> int | None:
    """The first slot whose open fall is another one in a day's new document; None where all are as they were."""
    old: dict[int, Document] = {} if before is None else {hold["slot"]: hold["hold"] for hold in before["holds"]}
    new: dict[int, Document] = {} if after is None else {hold["slot"]: hold["hold"] for hold in after["holds"]}
    return min((slot for slot in old.keys() | new.keys() if old.get(slot) != new.get(slot)), default=None)


def close_days(db: Database[Document], type_name: str, begin: datetime, end: datetime, now: datetime) -> set[DeviceDay]:
    """Write the totals of the days of all devices that end between the ledger's watermark and `end`. All that belongs
    to them is in the ledger already.

    begin: where the ledger begins at the latest, if it has no watermark. To be called whenever the watermark is about
    to move to `end`; does nothing where both are on one day. Returns the days that were not written, as `write_slots`.
    Raises PyMongoError; closing again is safe, and writes what differs.
    """
    # The watermark, because what is computed may begin later: after days without any reading.
    done = read_progress(db[WATERMARKS], type_name, INTERVALS).watermark
    if done is None:
        # Device ranges that were the first may have begun earlier.
        order = [("type", ASCENDING), ("day", ASCENDING)]
        first = db[INTERVALS].find_one({"type": type_name}, {"_id": 0, "day": 1}, sort=order)
        done = None if first is None else first["day"]
    begin, end = day_of(begin if done is None else min(begin, done)), day_of(end)
    if begin >= end:
        return set()
    # First of all: from here on `write_slots` writes the totals of these days itself.
    move_watermark(db[WATERMARKS], type_name, ENERGY_DAYS, end)
    refused: set[LedgerKey] = set()
    days: dict[LedgerKey, DayTotal | None] = {}
    query = {"type": type_name, "day": {"$gte": begin, "$lt": end}}
    order = [(key, ASCENDING) for key in ("type", "day", "device_id", "field")]
    for document in db[INTERVALS].find(query, sort=order, batch_size=DAYS_PER_BATCH):
        key = (document["device_id"], document["field"], document["day"])
        days[key] = DayTotal.of_document(document)
        if len(days) == DAYS_PER_STEP:
            refused |= _write_days(db, type_name, days, now)
            days = {}
    refused |= _write_days(db, type_name, days, now)
    return {(device, day) for device, _, day in refused}


def _write_days(
    db: Database[Document], type_name: str, days: Mapping[LedgerKey, DayTotal | None], now: datetime
) -> set[LedgerKey]:
    """Write the totals of days, None for a day without anything. Returns those that were not written.

    A day may change between its reading and the writing of its total, and whoever changed it may have written its
    total by then. So days are read once more when all is written, until they are what was written.
    """
    for _ in range(MAX_REWRITE_ATTEMPTS):
        refused = _put_totals(db, type_name, days, now)
        there = _read_totals(db, type_name, days.keys())
        days = {
            key: there.get(key) for key, total in days.items() if key in refused or not _same(total, there.get(key))
        }
        if not days:
            return set()
    return set(days)


def _same(total: DayTotal | None, there: DayTotal | None) -> bool:
    return there is None if total is None else total.is_same(there)


def _put_totals(
    db: Database[Document], type_name: str, days: Mapping[LedgerKey, DayTotal | None], now: datetime
) -> set[LedgerKey]:
    months: defaultdict[LedgerKey, dict[datetime, DayTotal | None]] = defaultdict(dict)
    for (device, field, day), total in days.items():
        months[device, field, month_of(day)][day] = total

    def change(key: LedgerKey, document: Document | None) -> Document | None:
        changed = put_days(document, key[2], months[key], now)
        same = document is not None and changed is not None and all(document[name] == changed[name] for name in CONTENT)
        return UNCHANGED if same else changed

    writer = Rewriter(db[ENERGY_DAYS], type_name, "month", lambda: take_as_of(db[WATERMARKS]))
    refused = writer.rewrite(sorted(months), change)
    return {(device, field, day) for device, field, month in refused for day in months[device, field, month]}


def _read_totals(db: Database[Document], type_name: str, keys: Iterable[LedgerKey]) -> dict[LedgerKey, DayTotal | None]:
    shown = {"_id": 0, "device_id": 1, "field": 1, "day": 1, "slots": 1, "resolution": 1}
    return {
        (document["device_id"], document["field"], document["day"]): DayTotal.of_document(document)
        for query in key_queries(type_name, "day", keys)
        for document in db[INTERVALS].find(query, shown, batch_size=DAYS_PER_BATCH)
    }


def ledger_written_at(
    db: Database[Document],
    type_name: str,
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None,
    as_of: datetime,
) -> set[DeviceDay]:
    """The days of `[begin, end)` that hold results of one `as_of`. devices: None for all. Raises PyMongoError."""
    query: Document = {"type": type_name, "day": {"$gte": day_of(begin), "$lt": end}, "as_of": as_of}
    if devices is not None:
        query["device_id"] = {"$in": list(devices)}
    found = db[INTERVALS].find(query, {"_id": 0, "device_id": 1, "day": 1})
    return {(document["device_id"], document["day"]) for document in found}
