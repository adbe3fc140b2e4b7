"""Copying the settings of changed devices to MongoDB, where ingest and the rollups read them. If MongoDB does not
answer in time, the worker does later what is left."""

from __future__ import annotations

import logging
from collections.abc import Iterable

import pymongo
from pymongo.errors import PyMongoError

from greenpower.api.http.context import database, get_context
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.rollups.settings_change import invalidate_changed_settings
from greenpower.mongo.schema.layout import DEVICE_SETTINGS
from greenpower.sql import Device
from greenpower.sql.time import now

log = logging.getLogger(__name__)
SETTINGS_WRITE_SECONDS = 2.0


def cache_settings(devices: Iterable[Device], deleted: Iterable[str] = ()) -> None:
    """Copy devices as they are in SQL now, mark those that were deleted, and have energy computed again where the
    greatest power or the time zone changed. Call it after the commit; never fails."""
    settings = [
        DeviceSettings(
            device_id=device.device_id,
            updated_at=device.updated_at,
            timezone=device.timezone,
            interval_seconds=device.interval_seconds,
            greatest_power=device.greatest_power,
            zone_id=device.zone_id,
            confirmed=device.confirmed_at is not None,
        )
        for device in devices
    ]
    settings += [DeviceSettings(device_id=device_id, updated_at=now(), registered=False) for device_id in deleted]
    try:
        with pymongo.timeout(SETTINGS_WRITE_SECONDS):
            write_settings(database()[DEVICE_SETTINGS], settings)
            changed = [one.device_id for one in settings]
            context = get_context()
            invalidate_changed_settings(database(), context.registry, context.settings, changed)
    except PyMongoError as error:
        log.warning("the settings of a changed device are not in use everywhere yet: %.200s", error)
