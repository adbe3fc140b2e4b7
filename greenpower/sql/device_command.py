"""Commands to devices: who sent which command to which device, when, and its result. Never deleted.

What belongs here: the rows, the states, and the function that changes a state. What does not: sending
(`greenpower.jobs`), what a command is (`greenpower.datatype`).
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import JSON, ForeignKey, Index, String, Text, UniqueConstraint, update
from sqlalchemy.orm import Mapped, Session, mapped_column, relationship, scoped_session

from greenpower.sql.audit_entry import AuditObject
from greenpower.sql.audited import Audited
from greenpower.sql.extensions import Base
from greenpower.sql.time import UtcDateTime, now

LONGEST_DETAIL = 300


class CommandState(StrEnum):
    """The states, in order. Answered: the device accepted, and is being read back. The last three
    are final: done (verified where the protocol can), failed, expired."""

    QUEUED = "queued"
    SENT = "sent"
    ANSWERED = "answered"
    VERIFIED = "verified"
    DONE = "done"
    FAILED = "failed"
    EXPIRED = "expired"


OPEN = (CommandState.QUEUED.value, CommandState.SENT.value, CommandState.ANSWERED.value)


class DeviceCommand(Base):
    """A command. wire_id: the device's id on the wire, which stays when the device is deleted. requested_by: the
    user's name, `key-…`, or `system`. operation, read_operation: the ids on the wire of the command and its read-back.
    open_for: "device|command" while it is open, so that there is one at a time; None at the end. claimed_at: when a
    worker began to send it. answer: the values of the device's answer."""

    __tablename__ = "device_command"
    __table_args__ = (
        Index(None, "device_id", "id"),
        Index(None, "wire_id", "command", "created_at"),
        UniqueConstraint("open_for"),
    )

    id: Mapped[int] = mapped_column(primary_key=True)
    device_id: Mapped[int | None] = mapped_column(ForeignKey("device.id", ondelete="SET NULL"))
    wire_id: Mapped[str] = mapped_column(String(64))
    type: Mapped[str] = mapped_column(String(64))
    command: Mapped[str] = mapped_column(String(64))
    parameters: Mapped[dict[str, Any]] = mapped_column(JSON)
    requested_by: Mapped[str] = mapped_column(String(150))
    state: Mapped[str] = mapped_column(String(16), default=CommandState.QUEUED.value, index=True)
    detail: Mapped[str] = mapped_column(String(LONGEST_DETAIL), default="")
    operation: Mapped[str] = mapped_column(String(32), unique=True)
    read_operation: Mapped[str | None] = mapped_column(String(32), unique=True)
    open_for: Mapped[str | None] = mapped_column(String(130))
    topic: Mapped[str | None] = mapped_column(String(200))
    payload: Mapped[str | None] = mapped_column(Text)
    answer: Mapped[dict[str, Any] | None] = mapped_column(JSON)
    created_at: Mapped[datetime] = mapped_column(UtcDateTime, default=now)
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime)
    claimed_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    verified_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    finished_at: Mapped[datetime | None] = mapped_column(UtcDateTime)

    steps: Mapped[list[DeviceCommandStep]] = relationship(lazy="selectin", order_by="DeviceCommandStep.id")

    audited: ClassVar = Audited(
        object_type=AuditObject.COMMAND,
        name="wire_id",
        columns=("wire_id", "type", "command", "parameters"),
        only_new=True,
    )


class DeviceCommandStep(Base):
    """A step of a command: the audit. state: the new one, or the same where only a note was added."""

    __tablename__ = "device_command_step"

    id: Mapped[int] = mapped_column(primary_key=True)
    command_id: Mapped[int] = mapped_column(ForeignKey("device_command.id", ondelete="RESTRICT"), index=True)
    state: Mapped[str] = mapped_column(String(16))
    at: Mapped[datetime] = mapped_column(UtcDateTime)
    detail: Mapped[str] = mapped_column(String(LONGEST_DETAIL), default="")


def note_step(session: Session | scoped_session[Any], command_id: int, state: str, detail: str = "") -> None:
    """Write a line into the audit. The caller commits."""
    step = DeviceCommandStep(command_id=command_id, state=state, at=now(), detail=detail[:LONGEST_DETAIL])
    session.add(step)


def advance(
    session: Session | scoped_session[Any], row: DeviceCommand, state: CommandState, detail: str = "", **values: Any
) -> bool:
    """Bring a command from the state that `row` was read in to another, with its step. The caller commits.

    False where it is not in that state any more: another worker was first, and nothing is changed.
    """
    known = row.state
    changes: dict[str, Any] = {**values, "state": state.value, "detail": detail[:LONGEST_DETAIL]}
    if state.value not in OPEN:
        changes["open_for"] = None
        if state is not CommandState.VERIFIED:
            changes["finished_at"] = now()
    where = (DeviceCommand.id == row.id, DeviceCommand.state == known)
    statement = update(DeviceCommand).where(*where).values(**changes).returning(DeviceCommand.id)
    if session.scalar(statement.execution_options(synchronize_session=False)) is None:
        session.refresh(row)
        return False
    note_step(session, row.id, state.value, detail)
    session.flush()
    session.refresh(row)
    return True
