"""Removing the demonstration, all of it and nothing else.

What belongs here: what has its devices, and what has its names. What does not: making it (`write`).
"""

from __future__ import annotations

from typing import Any

from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.demo import site
from greenpower.mongo.client import Document
from greenpower.mongo.devices.settings import DeviceSettings, write_settings
from greenpower.mongo.rollups.unfinished import Work, remove_work
from greenpower.mongo.schema.layout import CLOCKS, DEVICE_SETTINGS, INVALIDATIONS, layout
from greenpower.sql.device import Device
from greenpower.sql.emission_factor import EmissionFactor
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.service_zone import ServiceZone
from greenpower.sql.tariff import Tariff
from greenpower.sql.time import now


def remove_demo(
    settings: Settings, session: Session | scoped_session[Any], db: Database[Document], registry: Registry
) -> int:
    """Remove the demonstration, also one that was made in part. Returns how many documents and rows went.

    Raises SQLAlchemyError, PyMongoError; it can be repeated.
    """
    devices = list(site.device_ids())
    points = [*site.SOURCES, *(consumer.point for consumer in site.CONSUMERS)]
    gone = 0
    for query in (
        select(MeterPoint).where(MeterPoint.name.in_(points)),
        select(EmissionFactor).where(EmissionFactor.source == site.FACTOR_SOURCE),
        select(Tariff).where(Tariff.name == site.TARIFF),
        select(Device).where(Device.device_id.in_(devices)),
        select(ServiceZone).where(ServiceZone.name.in_(site.ZONES)),
        select(ServiceZone).where(ServiceZone.name == site.SITE),
    ):
        for row in session.scalars(query):
            session.delete(row)
            gone += 1
        session.flush()
    session.commit()
    write_settings(
        db[DEVICE_SETTINGS],
        [DeviceSettings(device_id=device_id, updated_at=now(), registered=False) for device_id in devices],
    )
    for collection, _ in layout(registry, settings):
        gone += db[collection].delete_many({"device_id": {"$in": devices}}).deleted_count
    for datatype in registry:
        remove_work(db[INVALIDATIONS], datatype.name, Work.DEMO)
    gone += db[CLOCKS].delete_many({"_id": {"$in": devices}}).deleted_count
    return gone
