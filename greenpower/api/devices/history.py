"""`/api/devices/<id>/status-history/`: when a device went online and offline."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response
from sqlalchemy import select

from greenpower.api.devices.device import DEVICE_PATH, DeviceKey, find_device
from greenpower.api.devices.schema import STATUSES
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.fields import time_field
from greenpower.api.http.paging import PageQuery, PageSchema, sql_page_answer
from greenpower.api.http.time_range import RangeQuery
from greenpower.sql import DeviceStatusChange, RoleName


class HistoryQuery(PageQuery, RangeQuery):
    """Which part of the history."""


class ChangeSchema(ma.Schema):
    """A change of a device's status."""

    status = ma.fields.String(
        required=True, validate=ma.validate.OneOf(STATUSES), metadata=describe("its status from then on")
    )
    at = time_field("when it changed, UTC")


class HistoryPage(PageSchema):
    """A page of a device's history."""

    results = ma.fields.List(ma.fields.Nested(ChangeSchema), required=True)


def add_history(blueprint: Blueprint) -> None:
    """Add the history of a device's status."""

    @blueprint.route(f"{DEVICE_PATH}status-history/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 422, 503)
    @blueprint.arguments(HistoryQuery)
    @blueprint.response(200, HistoryPage)
    def list_history(query: dict[str, Any], id: DeviceKey) -> Response:
        """List changes of a device's status

        Newest first.
        """
        device = find_device(id)
        change = DeviceStatusChange
        statement = select(change).where(change.device_id == device.id).order_by(change.at.desc(), change.id.desc())
        if "start_time" in query:
            statement = statement.where(change.at >= query["start_time"])
        if "end_time" in query:
            statement = statement.where(change.at <= query["end_time"])
        return sql_page_answer(query, statement, _present, change.at, change.id, descending=True, ranged=True)


def _present(changes: list[DeviceStatusChange]) -> list[dict[str, Any]]:
    return [{"status": change.status, "at": change.at} for change in changes]
