"""From devices that ingest heard to rows of the registry: registering, confirming by policy, expiring.

A device that was only heard is unconfirmed. There are at most `DEVICE_UNCONFIRMED_MAX` of those; with
`DEVICE_POLICY=open` one that goes on sending is confirmed, and one that was silent for `DEVICE_UNCONFIRMED_DAYS` is
deleted. So ids that somebody invents come and go.

What belongs here: which devices, and the order of the writes. What does not: the rows (`greenpower.sql.confirmation`),
the frames of devices for which there is no room (`greenpower.ingest.steps.policy`).
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from greenpower.config import Settings
from greenpower.mongo.client import Document
from greenpower.mongo.devices.seen import HeardDevice, forget_devices, read_heard
from greenpower.mongo.schema.layout import SEEN
from greenpower.sql import Device, DeviceType
from greenpower.sql.confirmation import (
    BY_POLICY,
    add_heard,
    add_types,
    confirm_devices,
    count_unconfirmed,
    delete_unconfirmed,
)

log = logging.getLogger(__name__)

REGISTER_ATTEMPTS = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrationRules:
    """What becomes of devices that were heard. adds: whether they are registered. confirms_after: for how long one has
    to send until it is confirmed; None: a person does that. most: unconfirmed ones at once, 0 for no limit. expires:
    after how long a silence one is deleted."""

    adds: bool = True
    confirms_after: timedelta | None = None
    most: int = 0
    expires: timedelta = timedelta(days=7)

    @classmethod
    def of(cls, settings: Settings) -> RegistrationRules:
        """The rules of the settings."""
        is_open = settings.device_policy == "open"
        return cls(
            adds=settings.device_policy != "registered",
            confirms_after=timedelta(seconds=settings.device_confirm_seconds) if is_open else None,
            most=settings.device_unconfirmed_max,
            expires=timedelta(days=settings.device_unconfirmed_days),
        )


#: all that was heard is registered, and nothing confirmed
WITHOUT_LIMIT = RegistrationRules()


def register(session: Session, db: Database[Document], rules: RegistrationRules) -> int:
    """Add the devices, and the types of devices, that ingest has seen. Returns how many were added.

    Where there is no room for further unconfirmed devices, those heard last are forgotten: they come again if they send
    again. New types of a registered device are always added.
    """
    for attempt in range(1, REGISTER_ATTEMPTS + 1):
        try:
            return _register(session, db, rules)
        except IntegrityError:  # the API or another worker changed the registry meanwhile
            session.rollback()
            if attempt == REGISTER_ATTEMPTS:
                raise
    raise AssertionError("unreachable")


def _register(session: Session, db: Database[Document], rules: RegistrationRules) -> int:
    # The registry first: a device that is deleted after this is not in what is read next, unless it has sent again.
    numbers = {device_id: number for number, device_id in session.execute(select(Device.id, Device.device_id))}
    known: defaultdict[int, set[str]] = defaultdict(set)
    for number, name in session.execute(select(DeviceType.device_id, DeviceType.type)):
        known[number].add(name)
    session.rollback()
    heard = read_heard(db[SEEN])
    types = [
        (numbers[device_id], name)
        for device_id, found in heard.items()
        if device_id in numbers
        for name in sorted(found.types - known[numbers[device_id]])
    ]
    added = add_types(session, types)
    new = {device_id: found for device_id, found in heard.items() if device_id not in numbers}
    return added + (_add(session, db, new, rules) if rules.adds else 0)


def _add(session: Session, db: Database[Document], new: dict[str, HeardDevice], rules: RegistrationRules) -> int:
    if rules.confirms_after == timedelta(0):
        return add_heard(session, {device_id: found.types for device_id, found in new.items()}, confirmed_by=BY_POLICY)
    in_order = sorted(new, key=lambda device_id: (_time(new[device_id].since), device_id))
    if rules.most:
        room = max(rules.most - count_unconfirmed(session), 0)
        session.rollback()
        if too_many := in_order[room:]:
            log.warning("%d more devices were heard than may be unconfirmed (%d)", len(too_many), rules.most)
            forget_devices(db, too_many, set().union(*(new[device_id].types for device_id in too_many)))
        in_order = in_order[:room]
    return add_heard(session, {device_id: new[device_id].types for device_id in in_order})


def confirm_lasting(session: Session, db: Database[Document], rules: RegistrationRules) -> int:
    """Confirm the devices that have sent for long enough, where the policy does. Returns how many."""
    waiting = _unconfirmed(session)
    if rules.confirms_after is None or not waiting:
        return 0
    heard = read_heard(db[SEEN])
    lasting = [
        device_id
        for device_id in waiting
        if (found := heard.get(device_id)) is not None
        and found.measured
        and _time(found.until) - _time(found.since) >= rules.confirms_after
    ]
    return confirm_devices(session, lasting, BY_POLICY)


def expire(
    session: Session, db: Database[Document], rules: RegistrationRules, types: Iterable[str], now: datetime
) -> int:
    """Delete unconfirmed devices that were silent for too long, and forget what was heard of others that are in no
    registry. Returns how many were deleted. types: the names of all data types.

    The settings cache follows with its next write.
    """
    limit, heard, names = now - rules.expires, read_heard(db[SEEN]), set(types)
    registered = set(session.scalars(select(Device.device_id)))
    waiting = _unconfirmed(session)
    old = [
        device_id
        for device_id, since in waiting.items()
        if max(_time(heard[device_id].until) if device_id in heard else since, since) < limit
    ]
    strangers = [
        device_id for device_id, found in heard.items() if device_id not in registered and _time(found.until) < limit
    ]
    names = names.union(*(heard[device_id].types for device_id in (*old, *strangers) if device_id in heard))
    forget_devices(db, [*old, *strangers], names)
    return len(delete_unconfirmed(session, old))


def _unconfirmed(session: Session) -> dict[str, datetime]:
    """When each unconfirmed device was registered, by id."""
    rows = session.execute(select(Device.device_id, Device.created_at).where(Device.confirmed_at.is_(None))).all()
    session.rollback()
    return {device_id: at for device_id, at in rows}


def _time(time: datetime | None) -> datetime:
    """A time to compare; long ago where there is none."""
    return time or datetime.min.replace(tzinfo=UTC)
