"""What an answer changes in a command. An answer that comes again, or late, changes no final state."""

from __future__ import annotations

import logging
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from greenpower.catalog.registry import Registry
from greenpower.control.order import new_operation
from greenpower.datatype import Answer, Command
from greenpower.sql import CommandState, DeviceCommand
from greenpower.sql.device_command import advance, note_step
from greenpower.sql.time import now

log = logging.getLogger(__name__)


def apply_answer(session: Session, registry: Registry, answer: Answer) -> bool:
    """Apply an answer to its command. The caller commits. Returns False if there is no such command."""
    row = session.scalar(select(DeviceCommand).where(DeviceCommand.operation == answer.operation))
    reading_back = False
    if row is None:
        row = session.scalar(select(DeviceCommand).where(DeviceCommand.read_operation == answer.operation))
        reading_back = True
    if row is None or row.wire_id != answer.device_id:
        return False
    datatype = registry.get(row.type)
    command = None if datatype is None else datatype.command(row.command)
    if reading_back:
        _read_back(session, row, command, answer)
    else:
        _answered(session, row, command, answer)
    return True


def _answered(session: Session, row: DeviceCommand, command: Command | None, answer: Answer) -> None:
    if row.answered_at is not None:
        return
    said: dict[str, Any] = {"answer": {**answer.values}, "answered_at": now()}
    if row.state not in (CommandState.QUEUED, CommandState.SENT):
        for name, value in said.items():
            setattr(row, name, value)
        note_step(session, row.id, row.state, f"answered late: {answer.detail}")
        return
    if row.state == CommandState.QUEUED:  # the worker that sent it stopped before it could note that
        advance(session, row, CommandState.SENT, "seen by its answer", sent_at=now())
    if not answer.ok:
        advance(session, row, CommandState.FAILED, f"the device refused: {answer.detail}", **said)
    elif command is not None and command.read_back is not None:
        more = {"read_operation": new_operation(), "claimed_at": None}
        advance(session, row, CommandState.ANSWERED, answer.detail, **said, **more)
    elif advance(session, row, CommandState.ANSWERED, answer.detail, **said):
        why = "the protocol cannot read it back" if command is not None else "the command is no longer declared"
        advance(session, row, CommandState.DONE, f"answered; {why}")


def _read_back(session: Session, row: DeviceCommand, command: Command | None, answer: Answer) -> None:
    if row.verified_at is not None or row.state == CommandState.FAILED:
        return
    problem = "the command is no longer declared"
    if command is not None and command.read_back is not None:
        problem = "" if answer.ok else f"the device refused the read-back: {answer.detail}"
        problem = problem or command.read_back.problem(row.parameters, answer)
    if row.state != CommandState.ANSWERED:
        row.verified_at = None if problem else now()
        note_step(session, row.id, row.state, f"read back late: {problem or 'as set'}")
    elif problem:
        advance(session, row, CommandState.FAILED, f"read back: {problem}")
    elif advance(session, row, CommandState.VERIFIED, "read back as set", verified_at=now()):
        advance(session, row, CommandState.DONE, "verified")
