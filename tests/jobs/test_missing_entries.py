"""Missing entries of the audit, on SQLite and on PostgreSQL: each is written once, by whoever comes first."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from bson import ObjectId
from pydantic import SecretStr
from pymongo import MongoClient
from pymongo.database import Database
from sqlalchemy import insert, select
from sqlalchemy.orm import Session

from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.jobs import missing_entries
from greenpower.jobs.device_sync import BEING_WRITTEN
from greenpower.jobs.missing_entries import write_missing_entries
from greenpower.mongo.schema.layout import CORRECTIONS, PUSH_KEYS
from greenpower.mongo.unaudited import UnauditedEntry, held, unaudited_entries
from greenpower.sql import AuditAction, AuditEntry, AuditObject
from greenpower.sql.actor import Actor, ActorKind, acting
from greenpower.sql.audit import AuditedChange, note_change
from greenpower.sql.session import sql_session
from greenpower.sql.time import now

Document = dict[str, Any]
ADA = Actor(kind=ActorKind.USER, name="ada", address="192.0.2.7")


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


def begun(name: str) -> AuditedChange:
    """A change that Ada is about to make."""
    with acting(ADA):
        return AuditedChange.begin(
            action=AuditAction.CREATE, object_type=AuditObject.CORRECTION, object_name=name, before=None, after={"a": 1}
        )


def changed(db: Database[Document], change: AuditedChange, collection: str = CORRECTIONS, **more: Any) -> ObjectId:
    """A document that holds the entry of a change."""
    entry: UnauditedEntry = {"id": change.id, "entry": change.json(), **more}  # type: ignore[typeddict-item]
    object_id: ObjectId = db[collection].insert_one(held(entry)).inserted_id
    return object_id


def written(session: Session) -> list[tuple[str, str, str]]:
    session.rollback()
    found = session.scalars(select(AuditEntry).where(AuditEntry.object_type == "correction").order_by(AuditEntry.id))
    return [(entry.actor, entry.object_name, entry.object_id) for entry in found]


def test_each_is_written_once_and_with_what_its_process_knew(session: Session, db: Database[Document]) -> None:
    first, second = begun("M1"), begun("M2")
    one, two = changed(db, first), changed(db, second, PUSH_KEYS)
    note_change(session, second, two)  # its process got so far
    assert write_missing_entries(session, db, now()) == 2
    assert write_missing_entries(session, db, now()) == 0
    note_change(session, first, one)  # its process was only slow
    assert written(session) == [("ada", "M2", str(two)), ("ada", "M1", str(one))]
    entry = session.scalar(select(AuditEntry).where(AuditEntry.object_name == "M1"))
    assert entry is not None and (entry.at, entry.address, entry.after) == (first.values["at"], "192.0.2.7", {"a": 1})


def test_a_change_of_two_documents_has_one(session: Session, db: Database[Document]) -> None:
    change = begun("M1")
    for _ in range(2):
        changed(db, change, object_id="incident")
    assert write_missing_entries(session, db, now()) == 1
    assert written(session) == [("ada", "M1", "incident")] and not list(unaudited_entries(db))


def test_young_ones_are_left_to_their_process(session: Session, db: Database[Document]) -> None:
    changed(db, begun("M1"))
    assert write_missing_entries(session, db, now() - BEING_WRITTEN) == 0
    assert written(session) == [] and len(list(unaudited_entries(db))) == 1
    assert write_missing_entries(session, db, now() + BEING_WRITTEN - timedelta(seconds=1)) == 1


def test_one_that_sql_does_not_take_holds_up_no_other(
    session: Session, db: Database[Document], monkeypatch: pytest.MonkeyPatch
) -> None:
    bad, good = begun("M1"), begun("M2")
    for change in (bad, good):
        changed(db, change)

    def note(session: Session, change: AuditedChange, object_id: object) -> None:
        if change.id == bad.id:
            session.execute(insert(AuditEntry).values(actor=None))
        note_change(session, change, object_id)

    with monkeypatch.context() as patch:
        patch.setattr(missing_entries, "note_change", note)
        assert write_missing_entries(session, db, now()) == 1
    assert [name for _, name, _ in written(session)] == ["M2"]
    assert write_missing_entries(session, db, now()) == 1
    assert sorted(name for _, name, _ in written(session)) == ["M1", "M2"]
