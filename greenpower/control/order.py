"""Giving a command: from a request to a queued row, from a row to the message, and waking the worker that sends it."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from contextlib import closing
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from redis import Redis, RedisError
from sqlalchemy.orm import Session, scoped_session

from greenpower.bus.job_queue import JsonQueue
from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.datatype import Command, Message, Order
from greenpower.sql import CommandState, Device, DeviceCommand, DeviceStatus
from greenpower.sql.device_command import note_step
from greenpower.sql.time import now

log = logging.getLogger(__name__)

# Who gave a command that no person gave.
SYSTEM = "system"
ALL = "*"
COMMAND_QUEUE = "greenpower"
COMMAND_JOB = "greenpower.jobs.commands.work"
COMMAND_JOB_SECONDS = 60
WAKE_TIMEOUT_SECONDS = 0.5


def new_operation() -> str:
    """An id on the wire: 32 characters, used once."""
    return uuid4().hex


def find_command(registry: Registry, types: list[str], name: str) -> tuple[str, Command] | None:
    """The command of a name among those of a device's types: (type's name, command)."""
    for type_name in types:
        datatype = registry.get(type_name)
        command = None if datatype is None else datatype.command(name)
        if command is not None:
            return type_name, command
    return None


def is_locked_out(settings: Settings, command: Command, device_id: str) -> bool:
    """Whether the site does not allow this command for this device. What moves something is off by default."""
    allowed = {part.strip() for part in settings.downlink_interlocked.split(",")}
    return command.interlock and not allowed & {ALL, device_id}


def obstacle(settings: Settings, command: Command, device: Device) -> str:
    """Why a command that moves something in the world may not be given; empty where it may, or moves nothing."""
    if is_locked_out(settings, command, device.device_id):
        return "The site does not allow this command for this device (DOWNLINK_INTERLOCKED)."
    if command.interlock and device.status != DeviceStatus.ONLINE:
        return "The device is not online."
    return ""


def queue(
    session: Session | scoped_session[Any],
    device: Device,
    type_name: str,
    command: Command,
    parameters: Mapping[str, Any],
    *,
    by: str,
    operation: str | None = None,
) -> DeviceCommand:
    """Put a command into the queue, with the first line of its audit. The caller commits.

    Raises IntegrityError where the same command to the device is open, or the operation was used already.
    """
    created = now()
    row = DeviceCommand(
        device_id=device.id,
        wire_id=device.device_id,
        type=type_name,
        command=command.name,
        parameters=dict(parameters),
        requested_by=by,
        state=CommandState.QUEUED.value,
        operation=operation or new_operation(),
        open_for=f"{device.device_id}|{command.name}",
        created_at=created,
        expires_at=created + timedelta(seconds=command.expires_after),
    )
    session.add(row)
    session.flush()
    note_step(session, row.id, row.state, f"by {by}")
    session.flush()
    return row


def device_time(device: Device | None, settings: Settings, at: datetime) -> datetime:
    """A time in the device's zone."""
    name = device.timezone if device is not None else None
    return at.astimezone(ZoneInfo(name) if name else settings.device_zone)


def message_of(row: DeviceCommand, command: Command, at: datetime) -> Message:
    """What is to be sent now: the command, or once that is answered its read-back. at: in the device's zone."""
    operation, build = row.operation, command.build
    if row.state == CommandState.ANSWERED and command.read_back is not None and row.read_operation is not None:
        operation, build = row.read_operation, command.read_back.build
    return build(Order(device_id=row.wire_id, operation=operation, at=at, parameters=row.parameters))


def wake_worker(url: str) -> None:
    """Let the worker look at commands now instead of at its next turn. Call it after the commit; never fails."""
    if not url:
        return
    timeouts = {"socket_timeout": WAKE_TIMEOUT_SECONDS, "socket_connect_timeout": WAKE_TIMEOUT_SECONDS}
    try:
        with closing(Redis.from_url(url, **timeouts)) as redis:
            # Under an id of its own: the job of the schedule may have looked already, and its id ends with it.
            JsonQueue(COMMAND_QUEUE, connection=redis).enqueue_call(
                COMMAND_JOB, timeout=COMMAND_JOB_SECONDS, ttl=COMMAND_JOB_SECONDS, result_ttl=0, at_front=True
            )
    except RedisError as error:
        log.warning("a command waits for the worker's next turn: %.200s", error)
