"""Errors of bulk writes, as a real server answers them: one reading of them, for all that write in bulk."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo import InsertOne, MongoClient, UpdateOne
from pymongo.database import Database
from pymongo.errors import BulkWriteError, OperationFailure, WriteConcernError

import greenpower
from greenpower.config import Settings
from greenpower.datatype.session import make_birth
from greenpower.measure.counter.counted import CounterEvent
from greenpower.measure.counter.rules import Incident
from greenpower.measure.slot import Slot
from greenpower.mongo.bulk import insert_each, read_bulk_error, read_duplicates
from greenpower.mongo.client import Document, async_client, sync_client
from greenpower.mongo.devices.clocks import save_lags
from greenpower.mongo.devices.seen import Sighting, save_seen
from greenpower.mongo.devices.sessions import NO_BIRTHS, NewBirth, SessionKey, add_births
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.energy.ledger import close_days, write_slots
from greenpower.mongo.energy.ledger_part import LedgerPart
from greenpower.mongo.readings.replace import replace_span
from greenpower.mongo.readings.store import Fragment, MergedReading, merge_fragments, store_readings
from greenpower.mongo.rollups.incidents import save_incidents
from greenpower.mongo.rollups.invalidations import (
    Place,
    invalidate,
    invalidate_async,
    read_invalidations,
    remove_invalidations,
)
from greenpower.mongo.rollups.tier_documents import delete_documents, write_documents
from greenpower.mongo.schema.layout import (
    CLOCKS,
    DEVICE_SETTINGS,
    INCIDENTS,
    INVALIDATIONS,
    SEEN,
    SESSIONS,
    ensure_indexes,
)
from greenpower.stack import Mongod

NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)
WTIMEOUT = 64


class FaultyMongod(Mongod):
    """A mongod that can be told to answer with errors."""

    def command(self) -> list[str]:
        return [*super().command(), "--setParameter", "enableTestCommands=1"]


@pytest.fixture(scope="module")
def faulty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FaultyMongod]:
    with FaultyMongod(tmp_path_factory.mktemp("faulty")) as part:
        yield part


@pytest.fixture
def served(settings: Settings, faulty: FaultyMongod) -> Settings:
    """Settings for a database of the faulty server."""
    update = {"mongo_db_uri": SecretStr(faulty.uri), "mongo_db_name": f"test_{uuid4().hex[:8]}"}
    return settings.model_copy(update=update)


@pytest.fixture
def db(served: Settings) -> Iterator[Database[Document]]:
    with sync_client(served) as client:
        database = client[served.mongo_db_name]
        ensure_indexes(database, (), served)
        database["rows"].create_index([("device_id", 1), ("timestamp", 1)], unique=True)
        yield database
        client.drop_database(database)


@contextmanager
def not_durable(db: Database[Document]) -> Iterator[None]:
    """Writes are done, and their majority is not told in time."""
    with failing(db, writeConcernError={"code": WTIMEOUT, "errmsg": "waiting for replication timed out"}):
        yield


@contextmanager
def failing(db: Database[Document], **error: Any) -> Iterator[None]:
    """Every write of this process's clients gets an error."""
    client: MongoClient[Document] = db.client
    data = {"failCommands": ["insert", "update", "delete"], "appName": client.options.pool_options.appname, **error}
    client.admin.command("configureFailPoint", "failCommand", mode="alwaysOn", data=data)
    try:
        yield
    finally:
        client.admin.command("configureFailPoint", "failCommand", mode="off")


def row(device: str = "M1", as_of: datetime = NOON) -> Document:
    return {
        "device_id": device,
        "timestamp": NOON,
        "as_of": as_of,
        "updated_at": NOON,
        "received_at": NOON,
        "topic": "T",
        "payload": {"v": 1.0},
        "complete": True,
    }


def incident(db: Database[Document], as_of: datetime = NOON) -> None:
    found = CounterEvent(
        incident=Incident.RESET, field="c", at=NOON, value=5, before=9, before_at=NOON, correction=None
    )
    save_incidents(db[INCIDENTS], "meter", [("M1", found)], [("M1", NOON, LATER)], as_of)


def settings_of(*devices: str, at: datetime = NOON) -> list[DeviceSettings]:
    return [DeviceSettings(device_id=device, updated_at=at, timezone="Asia/Dhaka") for device in devices]


def drafts() -> list[MergedReading]:
    return merge_fragments(
        [Fragment("M1", "T", NOON, NOON, {"v": 1.0}, True), Fragment("M2", "T", NOON, NOON, {"v": 1.0}, True)]
    )


def in_loop(served: Settings, work: Callable[[Any], Any]) -> None:
    async def go() -> None:
        async with async_client(served) as client:
            await work(client[served.mongo_db_name])

    asyncio.run(go())


async def replaced(db: Any) -> None:
    async def announce(keys: list[tuple[str, datetime]]) -> None:
        return None

    await replace_span(
        db["wanted"],
        db["rows"],
        span=(NOON, LATER),
        written_before=LATER,
        received_after=NOON - timedelta(days=1),
        announce=announce,
        dry_run=False,
    )


COUNTED = LedgerPart(
    device="M1",
    field="c",
    begin=NOON,
    end=LATER,
    slots=[Slot(start=NOON, energy=5, n=1, last=5, last_at=NOON)],
)
PLACE = Place.of("meter", "today_", "M1", NOON)
BIRTH = NewBirth(make_birth({"1": "power"}, NOON, NOON), False)
BLOCKING: dict[str, Callable[[Database[Document]], object]] = {
    "incidents": incident,
    "device settings": lambda db: write_settings(db[DEVICE_SETTINGS], settings_of("M1", "M2")),
    "tier, new": lambda db: write_documents(db["rows"], [row()], fresh=True),
    "tier": lambda db: write_documents(db["rows"], [row()]),
    "tier, deletion": lambda db: delete_documents(db["rows"], [("M1", NOON)], LATER),
    "marks": lambda db: invalidate(db[INVALIDATIONS], [PLACE]),
    "ledger": lambda db: write_slots(db, "meter", [COUNTED], LATER, NOON),
    "ledger, again": lambda db: write_slots(db, "meter", [COUNTED], LATER, NOON),
    "ledger, day totals": lambda db: close_days(db, "meter", NOON, NOON + timedelta(days=1), NOON),
    "marks, removal": lambda db: remove_invalidations(
        db[INVALIDATIONS], read_invalidations(db[INVALIDATIONS], "meter", "today_", 9)
    ),
}
ASYNC: dict[str, Callable[[Any], Any]] = {
    "readings": lambda db: store_readings(db["rows"], drafts()),
    "insert": lambda db: insert_each(db["rows"], [{"_id": ObjectId()}]),
    "replay": replaced,
    "seen": lambda db: save_seen(db[SEEN], {("meter", "M1"): Sighting(NOON, NOON)}),
    "clocks": lambda db: save_lags(db[CLOCKS], {"M1": 1.0}),
    "sessions": lambda db: add_births(db[SESSIONS], SessionKey("meter", "M1"), [BIRTH], NO_BIRTHS),
    "marks": lambda db: invalidate_async(db[INVALIDATIONS], [PLACE]),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_a_blocking_write_that_is_not_durable_is_an_error(name: str, db: Database[Document]) -> None:
    if name == "marks, removal":
        invalidate(db[INVALIDATIONS], [PLACE])
    if name in ("ledger, again", "ledger, day totals"):
        BLOCKING["ledger"](db)
    with not_durable(db), pytest.raises(OperationFailure):
        BLOCKING[name](db)
    BLOCKING[name](db)  # and writing it again is safe


@pytest.mark.parametrize("name", ASYNC)
def test_a_write_on_a_loop_that_is_not_durable_is_an_error(name: str, served: Settings, db: Database[Document]) -> None:
    if name == "replay":
        db["wanted"].create_index([("device_id", 1), ("timestamp", 1)], unique=True)
        db["wanted"].insert_one(row("M9"))
    with not_durable(db), pytest.raises(OperationFailure):
        in_loop(served, ASYNC[name])
    in_loop(served, ASYNC[name])


def test_a_newer_document_is_no_error_and_an_older_one_that_is_not_durable_is(db: Database[Document]) -> None:
    """Duplicates beside a write concern error: the duplicates alone are no reason to raise."""
    write_settings(db[DEVICE_SETTINGS], settings_of("M1", at=LATER))
    incident(db, LATER)
    assert write_settings(db[DEVICE_SETTINGS], settings_of("M1", "M2")) == 1
    incident(db, NOON)
    with not_durable(db):
        with pytest.raises(WriteConcernError):
            write_settings(db[DEVICE_SETTINGS], settings_of("M1", "M3"))
        with pytest.raises(WriteConcernError):
            incident(db, NOON)


def test_a_server_that_fails_is_no_duplicate(db: Database[Document]) -> None:
    with failing(db, errorCode=13):
        for write in (BLOCKING["incidents"], BLOCKING["device settings"], BLOCKING["tier"]):
            with pytest.raises(OperationFailure):
                write(db)


def caught(db: Database[Document], *operations: InsertOne[Document] | UpdateOne) -> BulkWriteError:
    with pytest.raises(BulkWriteError) as raised:
        db["rows"].bulk_write(list(operations), ordered=False)
    return raised.value


def test_several_errors_of_one_batch_are_told_apart(db: Database[Document]) -> None:
    db["rows"].insert_one(row())
    taken, bad = InsertOne(row()), UpdateOne({"device_id": "M1"}, {"$set": {"topic": "V", "topic.x": 1}})
    good = UpdateOne({"device_id": "M1"}, {"$set": {"topic": "U"}})
    error = caught(db, good, taken, bad, InsertOne(row("M2")), taken)
    outcome = read_bulk_error(error)
    assert outcome.duplicates == (1, 4) and outcome.faults.keys() == {2}
    assert (outcome.matched, outcome.modified, outcome.upserted, outcome.deleted) == (1, 1, 0, 0)
    with pytest.raises(OperationFailure):
        read_duplicates(error)
    assert read_duplicates(caught(db, taken, good)).duplicates == (0,)
    with not_durable(db):
        error = caught(db, taken, bad, InsertOne(row("M3")))
    with pytest.raises(WriteConcernError) as raised:
        read_bulk_error(error)
    assert raised.value.code == WTIMEOUT


def test_only_one_module_reads_what_a_bulk_error_says() -> None:
    package = Path(greenpower.__file__).parent
    readers = {
        str(path.relative_to(package))
        for path in package.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Constant) and node.value in ("writeErrors", "writeConcernErrors")
    }
    assert readers == {"mongo/bulk.py"}
