"""Sending what is queued. A worker takes a command in hand before it sends it, so that of several one does.

Should it be gone before it could say that it has sent, the command is sent again under the same id once the claim is
stale; but not what moves something in the world, which fails then: whether it was sent is not known.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from datetime import datetime, timedelta

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.control.order import device_time, is_locked_out, message_of
from greenpower.control.publish import NoBroker, Visit, visit
from greenpower.datatype import Command
from greenpower.sql import CommandState, Device, DeviceCommand
from greenpower.sql.device_command import OPEN, advance, note_step
from greenpower.sql.time import now

log = logging.getLogger(__name__)

CLAIM = timedelta(seconds=15)
UNKNOWN = "the sender stopped midway: it may have been sent"
STILL = {
    CommandState.QUEUED.value: "it could not be sent in time",
    CommandState.SENT.value: "no answer in time",
    CommandState.ANSWERED.value: "the device said yes, but could not be read back in time",
}


def open_commands(session: Session) -> list[DeviceCommand]:
    """Those that are not settled, oldest first."""
    statement = select(DeviceCommand).where(DeviceCommand.state.in_(OPEN)).order_by(DeviceCommand.id)
    found = list(session.scalars(statement.execution_options(populate_existing=True)))
    session.rollback()
    return found


def expire(session: Session, rows: Iterable[DeviceCommand]) -> None:
    """End those whose time is over."""
    for row in rows:
        if row.state in STILL and row.expires_at <= now():
            advance(session, row, CommandState.EXPIRED, STILL[row.state])
            session.commit()


def send_all(session: Session, registry: Registry, settings: Settings, rows: Iterable[DeviceCommand]) -> int:
    """Send what is to be sent, messages of read-backs as well. Returns how many the broker took; logs its absence."""
    waiting = [row for row in rows if row.state != CommandState.SENT and row.expires_at > now()]
    sent = 0
    if not any(_is_free(row) for row in waiting):
        return 0
    try:
        with visit(settings) as broker:
            for row in waiting:
                sent += _send(session, registry, settings, row, broker)
    except NoBroker as error:
        log.warning("commands wait: %s", error)
    return sent


def _is_free(row: DeviceCommand, at: datetime | None = None) -> bool:
    return row.claimed_at is None or row.claimed_at < (at or now()) - CLAIM


def _send(session: Session, registry: Registry, settings: Settings, row: DeviceCommand, broker: Visit) -> bool:
    datatype = registry.get(row.type)
    command = None if datatype is None else datatype.command(row.command)
    if command is None or is_locked_out(settings, command, row.wire_id):
        advance(session, row, CommandState.FAILED, "it is not declared, or not let, any more")
        session.commit()
        return False
    before = row.claimed_at
    if not _claim(session, row):
        return False
    if before is not None and command.interlock:
        advance(session, row, CommandState.FAILED, UNKNOWN)
        session.commit()
        return False
    return _publish(session, settings, row, command, broker)


def _claim(session: Session, row: DeviceCommand) -> bool:
    """Take a command in hand; False where another worker has it."""
    free = DeviceCommand.claimed_at.is_(None) | (DeviceCommand.claimed_at < now() - CLAIM)
    same = (DeviceCommand.id == row.id, DeviceCommand.state == row.state)
    statement = update(DeviceCommand).where(*same, free).values(claimed_at=now()).returning(DeviceCommand.id)
    claimed = session.scalar(statement.execution_options(synchronize_session=False))
    session.commit()
    return claimed is not None


def _publish(session: Session, settings: Settings, row: DeviceCommand, command: Command, broker: Visit) -> bool:
    device = None if row.device_id is None else session.get(Device, row.device_id)
    try:
        message = message_of(row, command, device_time(device, settings, now()))
    except Exception as error:  # foreign code: its fault costs this command
        log.exception("the message of %s cannot be built", row.command)
        advance(session, row, CommandState.FAILED, f"it cannot be built: {type(error).__name__}: {error}")
        session.commit()
        return False
    reading_back = row.state == CommandState.ANSWERED
    good_for = (row.expires_at - now()).total_seconds()
    if not broker.publish(message, good_for):
        if command.interlock:
            advance(session, row, CommandState.FAILED, UNKNOWN)
            session.commit()
        return False
    if reading_back:
        note_step(session, row.id, row.state, "asked what it has now")
    else:
        text = message.payload.decode("utf-8", "backslashreplace")
        advance(session, row, CommandState.SENT, "", sent_at=now(), topic=message.topic, payload=text)
    session.commit()
    return True
