"""Writing changed devices to the projection that ingest reads. MongoDB may be away: the worker repeats it."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pymongo
from pymongo.errors import PyMongoError

from greenpower.api.http.context import database
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS
from greenpower.sql import Device
from greenpower.sql.time import now

log = logging.getLogger(__name__)
SECONDS = 2.0


def project(devices: Iterable[Device], gone: Iterable[str] = ()) -> None:
    """Write devices as they are now in SQL, and forget those that are gone. Call it after the commit; never fails."""
    settings = [
        DeviceSettings(
            device_id=device.device_id,
            updated_at=device.updated_at,
            timezone=device.timezone,
            interval_seconds=device.interval_seconds,
            zone_id=device.zone_id,
        )
        for device in devices
    ]
    settings += [DeviceSettings(device_id=device_id, updated_at=now(), registered=False) for device_id in gone]
    try:
        with pymongo.timeout(SECONDS):
            write_settings(database()[DEVICE_SETTINGS], settings)
    except PyMongoError as error:
        log.warning("ingest does not know of a changed device yet: %.200s", error)
