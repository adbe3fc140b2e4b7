"""Unconfirmed devices: which there are, confirming them, deleting them; and adding those that were only heard.

Everything is done in batches, each in a transaction of its own, so that others can write between two of them. What
belongs here: the rows. What does not: when a device was heard, and what ingest is told (`greenpower.mongo.devices`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any, TypeVar

from sqlalchemy import Select, delete, func, insert, select, update
from sqlalchemy.orm import Session, scoped_session

from greenpower.sql.actor import current_actor
from greenpower.sql.audit import entry_values
from greenpower.sql.audit_entry import AuditAction, AuditEntry, AuditObject
from greenpower.sql.device import Device, DeviceType
from greenpower.sql.time import now

AnySession = Session | scoped_session[Any]
Item = TypeVar("Item")
#: `confirmed_by` of what DEVICE_POLICY=open confirms
BY_POLICY = "policy"
# Rows per transaction: SQLite has one writer at a time, and the API waits for it.
MAX_ROWS_PER_COMMIT = 500
NOT_IN_SESSION = {"synchronize_session": False}


def count_unconfirmed(session: AnySession) -> int:
    """How many devices are not confirmed."""
    return session.scalar(select(func.count()).select_from(Device).where(Device.confirmed_at.is_(None))) or 0


def unconfirmed(*, type_name: str | None = None, prefix: str = "") -> Select[Any]:
    """The ids (on the wire) of unconfirmed devices, in order. type_name: those that send it. prefix: of their ids."""
    query = select(Device.device_id).where(Device.confirmed_at.is_(None)).order_by(Device.device_id)
    if prefix:
        query = query.where(func.substr(Device.device_id, 1, len(prefix)) == prefix)
    if type_name is not None:
        query = query.where(Device.id.in_(select(DeviceType.device_id).where(DeviceType.type == type_name)))
    return query


def confirm_devices(session: AnySession, device_ids: Iterable[str], by: str, at: datetime | None = None) -> int:
    """Confirm those that are registered and not confirmed yet. Commits. Returns how many were."""
    done = 0
    for chunk in batches(device_ids):
        query = update(Device).where(Device.device_id.in_(chunk), Device.confirmed_at.is_(None))
        change = query.values(confirmed_at=at or now(), confirmed_by=by).returning(Device.id, Device.device_id)
        changed = session.execute(change, execution_options=NOT_IN_SESSION).all()
        _audit(session, AuditAction.CHANGE, changed, {"confirmed_by": None}, {"confirmed_by": by})
        done += len(changed)
        session.commit()
    return done


def delete_unconfirmed(session: AnySession, device_ids: Iterable[str]) -> list[str]:
    """Delete those that are still not confirmed. Commits. Returns their ids.

    Forget first when they were heard (`forget_devices`), so that the job does not bring them back.
    """
    deleted: list[str] = []
    for chunk in batches(device_ids):
        where = (Device.device_id.in_(chunk), Device.confirmed_at.is_(None))
        change = delete(Device).where(*where).returning(Device.id, Device.device_id)
        gone = session.execute(change, execution_options=NOT_IN_SESSION).all()
        _audit(session, AuditAction.DELETE, gone, {"confirmed_by": None}, None)
        deleted += (device_id for _, device_id in gone)
        session.commit()
    return deleted


def _audit(
    session: AnySession,
    action: AuditAction,
    devices: Iterable[tuple[int, str]],
    before: Mapping[str, Any],
    after: Mapping[str, Any] | None,
) -> None:
    """Write what a person does into the audit, in the transaction of the change. Background work is not in it."""
    if current_actor() is None:
        return
    entries = [
        entry_values(
            action=action,
            object_type=AuditObject.DEVICE,
            object_id=number,
            object_name=device_id,
            before=before,
            after=after,
        )
        for number, device_id in devices
    ]
    if entries:
        session.execute(insert(AuditEntry), entries)


def add_heard(session: AnySession, devices: Mapping[str, Iterable[str]], *, confirmed_by: str | None = None) -> int:
    """Register devices that were heard, {id: types}; unconfirmed if nobody confirms them. Commits.

    Returns how many. Raises IntegrityError if one is registered meanwhile; those of earlier batches are there then.
    """
    stamp = now()
    # Otherwise the column's default takes the place of None.
    statement = insert(Device).returning(Device.id, Device.device_id).execution_options(render_nulls=True)
    for chunk in batches(devices):
        rows = [
            {
                "device_id": device_id,
                "confirmed_at": None if confirmed_by is None else stamp,
                "confirmed_by": confirmed_by,
            }
            for device_id in chunk
        ]
        made = session.execute(statement, rows).all()
        types = [{"device_id": number, "type": name} for number, device in made for name in sorted(devices[device])]
        if types:
            session.execute(insert(DeviceType), types)
        session.commit()
    return len(devices)


def add_types(session: AnySession, types: Iterable[tuple[int, str]]) -> int:
    """Note further types of registered devices: (number in the registry, type). Commits. Returns how many."""
    added = 0
    for chunk in batches(types):
        session.execute(insert(DeviceType), [{"device_id": number, "type": name} for number, name in chunk])
        session.commit()
        added += len(chunk)
    return added


def batches(items: Iterable[Item], most: int = MAX_ROWS_PER_COMMIT) -> Iterator[list[Item]]:
    """The items, so many at once at most."""
    chunk: list[Item] = []
    for item in items:
        chunk.append(item)
        if len(chunk) == most:
            yield chunk
            chunk = []
    if chunk:
        yield chunk
