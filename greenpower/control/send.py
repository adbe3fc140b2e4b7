"""Sending queued commands. A worker claims a command before it sends it, so that only one of several sends it.

If the worker stops before it has noted that the command was sent, the command is sent again under the same id when the
claim is too old. A command that moves something is not sent again: it fails, as nobody knows whether it was sent.
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

CLAIM_MAX_AGE = timedelta(seconds=15)
UNKNOWN_WHETHER_SENT = "the worker stopped while sending: it may have been sent"
EXPIRED_WHILE = {
    CommandState.QUEUED.value: "it could not be sent in time",
    CommandState.SENT.value: "no answer in time",
    CommandState.ANSWERED.value: "the device accepted it, but the read-back did not come in time",
}


def open_commands(session: Session) -> list[DeviceCommand]:
    """The commands without a final state, oldest first."""
    statement = select(DeviceCommand).where(DeviceCommand.state.in_(OPEN)).order_by(DeviceCommand.id)
    found = list(session.scalars(statement.execution_options(populate_existing=True)))
    session.rollback()
    return found


def expire(session: Session, rows: Iterable[DeviceCommand]) -> None:
    """Expire the commands whose time is over."""
    for row in rows:
        if row.state in EXPIRED_WHILE and row.expires_at <= now():
            advance(session, row, CommandState.EXPIRED, EXPIRED_WHILE[row.state])
            session.commit()


def send_all(session: Session, registry: Registry, settings: Settings, rows: Iterable[DeviceCommand]) -> int:
    """Send what is due, including read-backs. Returns how many messages the broker took. Logs if there is no broker."""
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
    return row.claimed_at is None or row.claimed_at < (at or now()) - CLAIM_MAX_AGE


def _send(session: Session, registry: Registry, settings: Settings, row: DeviceCommand, broker: Visit) -> bool:
    datatype = registry.get(row.type)
    command = None if datatype is None else datatype.command(row.command)
    if command is None or is_locked_out(settings, command, row.wire_id):
        advance(session, row, CommandState.FAILED, "the command is no longer declared or allowed")
        session.commit()
        return False
    before = row.claimed_at
    if not _claim(session, row):
        return False
    if before is not None and command.interlock:
        advance(session, row, CommandState.FAILED, UNKNOWN_WHETHER_SENT)
        session.commit()
        return False
    return _publish(session, settings, row, command, broker)


def _claim(session: Session, row: DeviceCommand) -> bool:
    """Claim a command; False if another worker has it."""
    free = DeviceCommand.claimed_at.is_(None) | (DeviceCommand.claimed_at < now() - CLAIM_MAX_AGE)
    same = (DeviceCommand.id == row.id, DeviceCommand.state == row.state)
    statement = update(DeviceCommand).where(*same, free).values(claimed_at=now()).returning(DeviceCommand.id)
    claimed = session.scalar(statement.execution_options(synchronize_session=False))
    session.commit()
    return claimed is not None


def _publish(session: Session, settings: Settings, row: DeviceCommand, command: Command, broker: Visit) -> bool:
    device = None if row.device_id is None else session.get(Device, row.device_id)
    try:
        message = message_of(row, command, device_time(device, settings, now()))
    except Exception as error:  # plugin code: its fault costs only this command
        log.exception("the message of %s cannot be built", row.command)
        advance(session, row, CommandState.FAILED, f"the message cannot be built: {type(error).__name__}: {error}")
        session.commit()
        return False
    reading_back = row.state == CommandState.ANSWERED
    good_for = (row.expires_at - now()).total_seconds()
    if not broker.publish(message, good_for):
        if command.interlock:
            advance(session, row, CommandState.FAILED, UNKNOWN_WHETHER_SENT)
            session.commit()
        return False
    if reading_back:
        note_step(session, row.id, row.state, "read-back sent")
    else:
        text = message.payload.decode("utf-8", "backslashreplace")
        advance(session, row, CommandState.SENT, "", sent_at=now(), topic=message.topic, payload=text)
    session.commit()
    return True
