"""The audit in SQL: entries come with the change, have no secrets, and stay; on SQLite and on PostgreSQL."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from alembic import command
from sqlalchemy import delete, insert, inspect, select, text, update
from sqlalchemy.exc import DBAPIError, IntegrityError

from greenpower.app import sql_context
from greenpower.config import Settings
from greenpower.sql import ApiKey, AuditAction, AuditEntry, AuditObject, Device, RoleName, ServiceZone, User
from greenpower.sql.account import change_user, delete_user
from greenpower.sql.actor import Actor, ActorKind, acting, current_actor
from greenpower.sql.alembic_config import alembic_config
from greenpower.sql.api_key import new_key
from greenpower.sql.audit import AuditedChange, note_change
from greenpower.sql.audited import CHANGED, HIDDEN
from greenpower.sql.device import DeviceType
from greenpower.sql.extensions import Base, db
from greenpower.sql.setup import make_roles, make_user, upgrade
from greenpower.sql.time import now
from greenpower.sql.user import find_user

ADA = Actor(kind=ActorKind.USER, name="ada", address="192.0.2.7")
PASSWORD = "correct horse battery"
# Tables whose rows are no decision of a person, or have their history elsewhere.
NOT_AUDITED = {
    "role",  # made by the migration of the program, the same everywhere
    "token_family",  # logins
    "device_type",  # of a device, audited with it
    "device_status_change",  # what devices do
    "device_command_step",  # what follows a command; a history itself
    "zone_role",  # of a user or key, audited with it
    "audit_entry",
}


@pytest.fixture(autouse=True)
def _database(sql_settings: Settings) -> Iterator[None]:
    with sql_context(sql_settings):
        upgrade()
        make_roles()
        yield


def entries() -> list[AuditEntry]:
    db.session.rollback()
    return list(db.session.scalars(select(AuditEntry).order_by(AuditEntry.id)))


def shown(entry: AuditEntry) -> tuple[Any, ...]:
    return entry.object_type, entry.action, entry.object_name, entry.before, entry.after


def test_each_table_is_audited_or_named_here() -> None:
    audited = {mapper.class_.__tablename__ for mapper in Base.registry.mappers if hasattr(mapper.class_, "audited")}
    tables = {*Base.metadata.tables}
    assert audited | NOT_AUDITED == tables and not audited & NOT_AUDITED


def test_a_user_from_making_to_deleting_without_a_password() -> None:
    with acting(ADA):
        make_user("bob", PASSWORD, RoleName.VIEWER)
        bob = find_user("bob")
        assert bob is not None
        number = bob.id
        change_user(bob, role=RoleName.OPERATOR)
        db.session.commit()
        change_user(bob, password=PASSWORD + "2", active=True)
        db.session.commit()
        bob.last_login_at = now()
        db.session.commit()
        delete_user(bob)
        db.session.commit()
    found = entries()
    whole = {
        "username": "bob",
        "active": True,
        "password": HIDDEN,
        "role": "operator",
        "restricted": False,
        "zones": [],
    }
    assert [shown(entry) for entry in found] == [
        ("user", "create", "bob", None, {**whole, "role": "viewer"}),
        ("user", "change", "bob", {"role": "viewer"}, {"role": "operator"}),
        ("user", "change", "bob", {"password": HIDDEN}, {"password": CHANGED}),
        ("user", "delete", "bob", whole, None),
    ]
    assert {(e.actor_kind, e.actor, e.address, e.object_id) for e in found} == {
        ("user", "ada", "192.0.2.7", str(number))
    }


def test_keys_devices_and_zones() -> None:
    with acting(ADA):
        key, secret = new_key("billing", ["telemetry:read"], now() + timedelta(days=1), None)
        zone = ServiceZone(name="A")
        device = Device(device_id="D1", types=[DeviceType(type="rt")])
        db.session.add_all([key, zone, device])
        db.session.commit()
        db.session.execute(update(ApiKey).values(last_used_at=now()))
        db.session.commit()
        key.revoked_at = now()
        device.types = [DeviceType(type="solar"), DeviceType(type="rt")]
        db.session.commit()
        device.zone_id, device.greatest_power, device.status = zone.id, 12.5, "online"
        db.session.commit()
        device.name = ""  # as it was
        db.session.commit()
        zone_id, name = zone.id, device.device_id
        device.zone = None
        db.session.flush()
        db.session.delete(zone)
        db.session.commit()
    found = {(e.object_type, e.action): e for e in entries()}
    assert {key: e.object_name for key, e in found.items()} == {
        ("api_key", "create"): "billing",
        ("service_zone", "create"): "A",
        ("device", "create"): name,
        ("api_key", "revoke"): "billing",
        ("device", "change"): name,
        ("service_zone", "delete"): "A",
    }
    assert len(entries()) == 8
    changes = [(e.before, e.after) for e in entries() if e.object_type == "device" and e.action == "change"]
    assert changes == [
        ({"types": ["rt"]}, {"types": ["rt", "solar"]}),
        ({"greatest_power": None, "zone_id": None}, {"greatest_power": 12.5, "zone_id": zone_id}),
        ({"zone_id": zone_id}, {"zone_id": None}),
    ]
    assert secret.rpartition("_")[2] not in str([(e.before, e.after) for e in entries()])


def test_work_of_nobody_writes_nothing_and_what_is_undone_leaves_nothing() -> None:
    assert current_actor() is None
    make_user("bob", PASSWORD, RoleName.VIEWER)
    with acting(ADA):
        db.session.add(ServiceZone(name="A"))
        db.session.flush()
        db.session.rollback()
        make_user("bob", PASSWORD, RoleName.VIEWER)
    assert entries() == []
    assert db.session.scalar(select(User.id)) is not None


def test_what_is_not_in_sql_is_noted_by_hand() -> None:
    values = {"status": "open", "at": now(), "value": float("nan"), "same": 1}
    change = AuditedChange.begin(
        action=AuditAction.DECIDE,
        object_type=AuditObject.INCIDENT,
        object_name="D" * 500,
        before=values,
        after={**values, "status": "confirmed", "by": {"x": [now()]}},
    )
    note_change(db.session, change, 7)
    [entry] = entries()
    assert (entry.actor_kind, entry.actor, entry.address, entry.object_id) == ("system", "system", None, "7")
    assert entry.before is not None and entry.before["status"] == "open" and "same" not in entry.before
    assert entry.after is not None and set(entry.after) == {*entry.before}
    # Once, and as text the same.
    again = AuditedChange.read(change.id, change.json())
    note_change(db.session, again, 7)
    [same] = entries()
    assert same.at == change.values["at"] and again == change
    with db.engine.begin() as connection, pytest.raises(IntegrityError):
        connection.execute(insert(AuditEntry).values(**change.values))


def test_an_entry_stays_as_it_is() -> None:
    with acting(ADA):
        make_user("bob", PASSWORD, RoleName.VIEWER)
    for statement in (update(AuditEntry).values(actor="eve"), delete(AuditEntry)):
        with pytest.raises(DBAPIError):
            db.session.execute(statement)
        db.session.rollback()
    assert [entry.actor for entry in entries()] == ["ada"]
    db.session.rollback()
    with db.engine.begin() as connection:
        if connection.dialect.name == "postgresql":
            with pytest.raises(DBAPIError), connection.begin_nested():
                connection.execute(text("TRUNCATE audit_entry"))


def test_the_migration_goes_down_and_up_again() -> None:
    with acting(ADA):
        make_user("bob", PASSWORD, RoleName.VIEWER)
    db.session.remove()
    command.downgrade(alembic_config(), "0005")
    assert "audit_entry" not in inspect(db.engine).get_table_names()
    upgrade()
    assert entries() == []


def test_an_entry_that_cannot_be_written_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    db.session.execute(text("DROP TABLE audit_entry"))
    db.session.commit()
    with pytest.raises(DBAPIError), acting(ADA):
        change = AuditedChange.begin(
            action=AuditAction.REVOKE,
            object_type=AuditObject.CORRECTION,
            object_name="M1",
            before=None,
            after={"reason": "x"},
        )
        note_change(db.session, change, "6743c1f2a1b2c3d4e5f60718")
    [record] = [record for record in caplog.records if record.levelname == "ERROR"]
    written = json.loads(record.getMessage().partition(": ")[2])
    assert (written["actor"], written["object_id"], written["after"]) == (
        "ada",
        "6743c1f2a1b2c3d4e5f60718",
        {"reason": "x"},
    )
