"""Copying the settings of changed devices to MongoDB, where ingest reads them. If MongoDB does not answer, the worker
copies them later."""

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
SETTINGS_WRITE_SECONDS = 2.0


def cache_settings(devices: Iterable[Device], deleted: Iterable[str] = ()) -> None:
    """Copy devices as they are in SQL now, and mark those that were deleted. Call it after the commit; never fails."""
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
    settings += [DeviceSettings(device_id=device_id, updated_at=now(), registered=False) for device_id in deleted]
    try:
        with pymongo.timeout(SETTINGS_WRITE_SECONDS):
            write_settings(database()[DEVICE_SETTINGS], settings)
    except PyMongoError as error:
        log.warning("ingest does not have the settings of a changed device yet: %.200s", error)
