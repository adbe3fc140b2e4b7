"""Devices that were heard: registered up to a bound, confirmed if they go on sending, deleted if they are silent."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.jobs.device_registration import RegistrationRules, confirm_lasting, expire, register
from greenpower.jobs.device_sync import write_settings_cache
from greenpower.mongo.devices.settings import DELETED_KEPT, forget_deleted
from greenpower.mongo.schema.layout import CLOCKS, DEVICE_SETTINGS, SEEN
from greenpower.sql import Device, DeviceType
from greenpower.sql.confirmation import BY_POLICY, confirm_devices, count_unconfirmed, delete_unconfirmed, unconfirmed
from greenpower.sql.session import sql_session

Document = dict[str, Any]
NOW = datetime.now(UTC).replace(microsecond=0)
RULES = RegistrationRules(confirms_after=timedelta(minutes=10), most=5)
TYPES = ("rt", "eny_now", "solar")


@pytest.fixture
def world(sql_settings: Settings, mongo_uri: str, mongo_name: str) -> Settings:
    settings = sql_settings.model_copy(update={"mongo_db_uri": SecretStr(mongo_uri), "mongo_db_name": mongo_name})
    init_sql(settings)
    return settings


@pytest.fixture
def db(world: Settings) -> Iterator[Database[Document]]:
    with MongoClient[Document](world.need("MONGO_DB_URI"), tz_aware=True) as client:
        yield client[world.mongo_db_name]


@pytest.fixture
def session(world: Settings) -> Iterator[Session]:
    with sql_session(world) as session:
        yield session


def hear(
    db: Database[Document], device: str, *, since: float = 0, minutes: float = 0, type_name: str = "rt", **more: Any
) -> None:
    """since: minutes before now at which it began; it went on for so many."""
    first = NOW - timedelta(minutes=since)
    document = {"type": type_name, "device_id": device, "first_seen": first}
    document |= {"last_heard": first + timedelta(minutes=minutes), **more}
    db[SEEN].insert_one({"_id": f"{type_name}|{device}", **document})


def confirmed(session: Session) -> dict[str, str | None]:
    """Who confirmed each device, None for those that nobody did."""
    session.rollback()
    rows = session.execute(select(Device.device_id, Device.confirmed_at, Device.confirmed_by))
    return {device: by if at is not None else None for device, at, by in rows}


def test_heard_devices_are_registered_up_to_the_bound_in_order(session: Session, db: Database[Document]) -> None:
    session.add(Device(device_id="OWN", types=[DeviceType(type="rt")]))
    session.commit()
    for number in range(8):
        hear(db, f"S{number}", since=60 - number)
    db[CLOCKS].insert_one({"_id": "S7"})
    assert register(session, db, RULES) == 5
    assert {name for name, by in confirmed(session).items() if by is None} == {"OWN", *(f"S{n}" for n in range(5))}
    assert count_unconfirmed(session) == 5
    assert {document["device_id"] for document in db[SEEN].find()} == {f"S{number}" for number in range(5)}
    assert db[CLOCKS].count_documents({}) == 0
    # One that is confirmed gives its place to another.
    assert confirm_devices(session, ["S3", "UNKNOWN"], "ann") == 1 and confirm_devices(session, ["S3"], "bob") == 0
    hear(db, "S6", since=1)
    hear(db, "S7", since=2)
    assert register(session, db, RULES) == 1
    assert "S7" in confirmed(session) and confirmed(session)["S3"] == "ann"


def test_new_types_of_a_registered_device_need_no_room(session: Session, db: Database[Document]) -> None:
    session.add(Device(device_id="OWN"))
    session.commit()
    hear(db, "OWN")
    hear(db, "OWN", type_name="solar")
    assert register(session, db, RegistrationRules(adds=False, most=1)) == 2
    hear(db, "STRANGER")
    assert register(session, db, RegistrationRules(adds=False, most=1)) == 0


def test_what_goes_on_sending_is_confirmed(session: Session, db: Database[Document]) -> None:
    measured: dict[str, Any] = {"last_reading": NOW}
    hear(db, "LASTING", since=20, minutes=10, **measured)
    hear(db, "SHORT", since=20, minutes=9, **measured)
    hear(db, "MUTE", since=20, minutes=15)
    hear(db, "TWO", since=20, **measured)
    hear(db, "TWO", since=5, type_name="solar")
    register(session, db, RULES)
    assert confirm_lasting(session, db, RegistrationRules()) == 0, "a person does it"
    assert confirm_lasting(session, db, RULES) == 2
    assert confirmed(session) == {"LASTING": BY_POLICY, "SHORT": None, "MUTE": None, "TWO": BY_POLICY}
    assert confirm_lasting(session, db, RULES) == 0


def test_a_policy_that_waits_for_nothing_confirms_at_once(session: Session, db: Database[Document]) -> None:
    for number in range(8):
        hear(db, f"S{number}")
    assert register(session, db, RegistrationRules(confirms_after=timedelta(0), most=5)) == 8
    assert set(confirmed(session).values()) == {BY_POLICY}


def test_silent_strangers_are_deleted_and_forgotten(session: Session, db: Database[Document]) -> None:
    days = 24 * 60
    for device in ("SILENT", "ALIVE", "NEVER HEARD", "YOUNG"):
        created = NOW - timedelta(days=1 if device == "YOUNG" else 30)
        session.add(Device(device_id=device, confirmed_at=None, created_at=created))
    session.add(Device(device_id="OWN", created_at=NOW - timedelta(days=30)))
    session.flush()
    session.execute(Device.__table__.update().where(Device.device_id != "OWN").values(confirmed_at=None))  # type: ignore[attr-defined]
    session.commit()
    hear(db, "SILENT", since=30 * days, minutes=20 * days)
    hear(db, "SILENT", since=30 * days, type_name="gone_type")
    hear(db, "ALIVE", since=30 * days, minutes=29 * days)
    hear(db, "OWN", since=30 * days)
    hear(db, "IN NO REGISTRY", since=30 * days)
    hear(db, "JUST HEARD", since=1)
    db[CLOCKS].insert_many([{"_id": device} for device in ("SILENT", "ALIVE", "OWN")])
    write_settings_cache(session, db)
    assert expire(session, db, RULES, TYPES, NOW) == 2
    assert set(confirmed(session)) == {"ALIVE", "YOUNG", "OWN"}
    assert {document["device_id"] for document in db[SEEN].find()} == {"ALIVE", "OWN", "JUST HEARD"}
    assert set(db[CLOCKS].distinct("_id")) == {"ALIVE", "OWN"}
    # The cache tells ingest, and is bounded as well.
    assert write_settings_cache(session, db) == 2
    assert {one["_id"] for one in db[DEVICE_SETTINGS].find({"registered": False})} == {"SILENT", "NEVER HEARD"}
    assert forget_deleted(db[DEVICE_SETTINGS], NOW) == 0
    db[DEVICE_SETTINGS].update_one({"_id": "SILENT"}, {"$set": {"power_changed": 1}})
    assert forget_deleted(db[DEVICE_SETTINGS], NOW + 2 * DELETED_KEPT) == 1
    assert db[DEVICE_SETTINGS].count_documents({"_id": "SILENT"}) == 1, "its hours are not invalidated yet"
    assert write_settings_cache(session, db) == 0


def test_what_is_confirmed_is_never_deleted_as_a_stranger(session: Session, db: Database[Document]) -> None:
    for device in ("A1", "A2", "B1"):
        hear(db, device, type_name="solar" if device == "A2" else "rt")
    register(session, db, RULES)
    found = list(session.scalars(unconfirmed(prefix="A")))
    assert found == ["A1", "A2"] and list(session.scalars(unconfirmed(type_name="solar"))) == ["A2"]
    confirm_devices(session, ["A1"], "ann")
    assert delete_unconfirmed(session, [*found, "NONE"]) == ["A2"]
    assert confirmed(session) == {"A1": "ann", "B1": None}
