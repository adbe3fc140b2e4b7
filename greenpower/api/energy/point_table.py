"""`/api/energy/points/table/`: devices, service zones and meter points from a table."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy.exc import IntegrityError

from greenpower.api.devices.settings_cache import cache_settings
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.energy.onboarding import Onboarding
from greenpower.energy.point_table import COLUMNS, MAX_TABLE_ROWS, TableError, read_table
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

EXAMPLE_TABLE = "device,name,zone,role,point\nM1,Main meter,Site,grid_import,Grid connection\n"
TABLE_DESCRIPTION = f"""CSV with headings and a row for each counter: {
    "; ".join(f"`{name}`: {text}" for name, (text, _) in COLUMNS.items())
}. Only `device` must be there. All rows are checked before anything is written, and a table is written as a whole or
not at all. It can be sent again: what is there is changed as the table says, counters are added to points, and none is
taken away. Devices that it names are confirmed."""


class PointTable(ma.Schema):
    """A table."""

    table = ma.fields.String(
        required=True,
        validate=ma.validate.Length(1),
        metadata=describe(f"CSV, at most {MAX_TABLE_ROWS} rows", example=EXAMPLE_TABLE),
    )
    dry_run = ma.fields.Boolean(
        load_default=False, metadata=describe("only check it, and say what it would make and change")
    )


def _names(what: str) -> ma.fields.List[Any]:
    return ma.fields.List(ma.fields.String(), required=True, metadata=describe(what))


class PointTableResult(ma.Schema):
    """What a table has made and changed."""

    dry_run = ma.fields.Boolean(required=True, metadata=describe("nothing was written"))
    zones = _names("service zones that were made")
    devices_made = _names("ids of devices that were registered")
    devices_changed = _names("ids of devices that were changed or confirmed")
    points_made = _names("meter points that were made")
    points_changed = _names("meter points that were changed")
    unchanged = ma.fields.Integer(
        required=True, metadata=describe("how many meter points were as the table says", example=0)
    )


def add_table(blueprint: Blueprint) -> None:
    """Add the route."""

    @blueprint.route("/table/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.doc(summary="Make devices, zones and meter points from a table", description=TABLE_DESCRIPTION)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(PointTable, location="json")
    @blueprint.response(200, PointTableResult)
    def take_table(body: dict[str, Any]) -> Response:
        onboarding = Onboarding(db.session, get_context().registry)
        try:
            done = onboarding.run(read_table(body["table"]), dry=body["dry_run"])
        except TableError as error:
            abort_body({"table": list(map(str, error.problems))})
        except IntegrityError:
            abort(409, "Something of the same name was made meanwhile. Nothing was written; try again.")
        if not body["dry_run"]:
            cache_settings(onboarding.devices)
        return answer({"dry_run": body["dry_run"], **{name: getattr(done, name) for name in done.__slots__}})
