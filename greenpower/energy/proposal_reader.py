"""Proposals of meter points: reading what they are made from, and making them.

What belongs here: SQL and MongoDB. What does not: which points are proposed (`proposal`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pymongo.database import Database
from sqlalchemy import select
from sqlalchemy.orm import Session, scoped_session

from greenpower.catalog.registry import Registry
from greenpower.datatype import DataType
from greenpower.energy.proposal import MeteredDevice, Proposal, propose
from greenpower.energy.site import point_of
from greenpower.mongo.client import Document
from greenpower.mongo.readings.shown import newest_shown
from greenpower.sql.device import Device
from greenpower.sql.meter_point import MeterPoint


def read_proposal(
    session: Session | scoped_session[Any], db: Database[Document], registry: Registry, *, confirmed: bool
) -> Proposal:
    """The points that could be made of the registered devices. confirmed: only of those that a person confirmed.
    Raises SQLAlchemyError, PyMongoError."""
    statement = select(Device).order_by(Device.device_id)
    if confirmed:
        statement = statement.where(Device.confirmed_at.is_not(None))
    devices = [
        MeteredDevice(
            device_id=row.device_id, name=row.name, zone=row.zone_id, types=tuple(item.type for item in row.types)
        )
        for row in session.scalars(statement)
    ]
    points = [point_of(row) for row in session.scalars(select(MeterPoint))]
    session.rollback()

    def shown(datatype: DataType, device: str, names: Sequence[str]) -> dict[str, float]:
        return newest_shown(db[datatype.collection], device, names)

    return propose(devices, registry, points, shown)


def make_proposed(session: Session | scoped_session[Any], proposal: Proposal) -> list[MeterPoint]:
    """Make the points of a proposal. Raises IntegrityError where a name was taken meanwhile; nothing is made then."""
    rows = [
        MeterPoint(
            name=point.name,
            carrier=point.carrier.value,
            role=point.role.value,
            parts=[part.stored() for part in point.parts],
            zone_id=point.zone,
            proposed=True,
        )
        for point in proposal.points
    ]
    session.add_all(rows)
    session.commit()
    return rows
