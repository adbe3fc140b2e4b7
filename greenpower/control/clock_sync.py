"""Setting wrong clocks of devices automatically, if the site wants it: each clock at most once in some hours.

A clock is wrong if ingest had to correct the stamp of the newest frame (`device_clocks` has by how much). Only devices
that are online, and whose type has a command that sets the clock, get it.
"""

from __future__ import annotations

import logging
from datetime import timedelta

from pymongo.database import Database
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.control.order import SYSTEM, queue
from greenpower.datatype import Command
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import CLOCKS, EVENTS
from greenpower.sql import Device, DeviceCommand, DeviceStatus
from greenpower.sql.time import now

log = logging.getLogger(__name__)

# An older frame says nothing about the clock now.
FRAME_MAX_AGE = timedelta(hours=1)
# A site whose clocks are all wrong is corrected in some minutes.
MAX_CLOCKS_PER_RUN = 20


def sync_clocks(session: Session, db: Database[Document], registry: Registry, settings: Settings) -> int:
    """Queue the commands that set wrong clocks. Returns how many. Raises PyMongoError, SQLAlchemyError."""
    known = [document["_id"] for document in db[CLOCKS].find({"offset_ms": {"$exists": True}}, {"_id": 1})]
    statement = select(Device).where(Device.device_id.in_(known), Device.status == DeviceStatus.ONLINE.value)
    queued = 0
    for device in list(session.scalars(statement)) if known else []:
        found = _clock_command(registry, [row.type for row in device.types])
        if found is None or _is_recent(session, device, found[1], settings) or not _is_wrong(db, device.device_id):
            continue
        try:
            queue(session, device, *found, {}, by=SYSTEM)
            session.commit()
        except IntegrityError:  # the same command was given just now
            session.rollback()
            continue
        log.info("the clock of %s is wrong and is being set", device.device_id)
        queued += 1
        if queued >= MAX_CLOCKS_PER_RUN:
            break
    session.rollback()
    return queued


def _clock_command(registry: Registry, types: list[str]) -> tuple[str, Command] | None:
    """The command that sets the clock of a device: it needs no parameters."""
    for datatype in filter(None, map(registry.get, types)):
        for command in datatype.commands:
            if command.sets_clock and not command.parameters:
                return datatype.name, command
    return None


def _is_recent(session: Session, device: Device, command: Command, settings: Settings) -> bool:
    """Whether it got this command in the last hours, from anyone, with any result."""
    row = DeviceCommand
    newest = select(func.max(row.created_at)).where(row.wire_id == device.device_id, row.command == command.name)
    at = session.scalar(newest)
    return at is not None and at > now() - timedelta(hours=settings.downlink_time_sync_hours)


def _is_wrong(db: Database[Document], device_id: str) -> bool:
    query = {"device_id": device_id, "received_at": {"$gte": now() - FRAME_MAX_AGE}, "outcome": "stored"}
    newest = db[EVENTS].find_one(query, {"clock": 1}, sort=[("received_at", -1)])
    return newest is not None and newest.get("clock") == "offset"
