"""Which service zones whoever is asking may see, and what follows for every query of the SQL database.

While a restricted caller is served, `visible_zones` is set, and each query of a session leaves out the rows of other
zones, whatever code makes it: they look as if they did not exist. What belongs to no zone is left out, too. Background
work and unrestricted callers see all rows.

What belongs here: which rows of which table follow from the zones. What does not: who may see which zones
(`greenpower.sql.zone_role`), MongoDB (`greenpower.mongo.visible`).
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy import ColumnElement, event, select
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

from greenpower.sql.closed_period import ClosedPeriod
from greenpower.sql.device import Device
from greenpower.sql.device_command import DeviceCommand
from greenpower.sql.device_status import DeviceStatusChange
from greenpower.sql.divisor import Divisor
from greenpower.sql.meter_point import MeterPoint
from greenpower.sql.outbound_target import OutboundTarget
from greenpower.sql.service_zone import ServiceZone

_zones: ContextVar[frozenset[int] | None] = ContextVar("visible_zones", default=None)


def visible_zones() -> frozenset[int] | None:
    """The zones that may be seen now; None: everything."""
    return _zones.get()


def set_visible_zones(zones: frozenset[int] | None) -> None:
    """Set which zones may be seen from now on, in this thread or task. None: everything."""
    _zones.set(zones)


@contextmanager
def seeing_everything() -> Iterator[None]:
    """Within it, queries leave nothing out. For what is worked out on the whole site and shown in part."""
    token = _zones.set(None)
    try:
        yield
    finally:
        _zones.reset(token)


@event.listens_for(Session, "do_orm_execute")
def _leave_out(state: ORMExecuteState) -> None:
    zones = _zones.get()
    # Attributes of rows that were found before are read again without conditions.
    if zones is None or state.is_column_load or not (state.is_select or state.is_update or state.is_delete):
        return
    state.statement = state.statement.options(*(_criteria(zones)))


def _criteria(zones: frozenset[int]) -> list[Any]:
    wanted = sorted(zones)
    devices = select(Device.id).where(Device.zone_id.in_(wanted))
    # Months that were closed for the site; its scope tells one whose zone was deleted since.
    of_site = ClosedPeriod.zone_id.is_(None) & (ClosedPeriod.scope == "")
    conditions: dict[type[Any], ColumnElement[bool]] = {
        ServiceZone: ServiceZone.id.in_(wanted),
        Device: Device.zone_id.in_(wanted),
        MeterPoint: MeterPoint.zone_id.in_(wanted),
        OutboundTarget: OutboundTarget.zone_id.in_(wanted),
        Divisor: Divisor.zone_id.in_(wanted),
        ClosedPeriod: ClosedPeriod.zone_id.in_(wanted) | of_site,
        DeviceCommand: DeviceCommand.device_id.in_(devices),
        DeviceStatusChange: DeviceStatusChange.device_id.in_(devices),
    }
    return [with_loader_criteria(model, condition, include_aliases=True) for model, condition in conditions.items()]
