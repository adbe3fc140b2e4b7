"""`/api/energy/points/`: meter points, made, changed and deleted by people."""

from __future__ import annotations

from typing import Any

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.api.energy.point_table import add_table
from greenpower.api.energy.points_schema import (
    EXAMPLE_POINT,
    NewPoint,
    PointChange,
    PointListQuery,
    PointPage,
    PointSchema,
    present_point,
    present_points,
)
from greenpower.api.energy.proposal import add_proposal
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.cache import with_etag
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.known import unknown_devices
from greenpower.api.http.paging import example_page, sql_page_answer
from greenpower.energy.point_change import PointChangeError, PointChanger, remove_point
from greenpower.sql import MeterPoint, RoleName
from greenpower.sql.extensions import db
from greenpower.sql.service_zone import zone_and_below
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):point_id>/"
LIST_DESCRIPTION = """A meter point is what a person calls a meter: a sum of counters of devices, each from and until a
time, so that an exchanged meter keeps one history. Ordered by name."""


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("points", __name__, url_prefix="/api/energy/points", description="Meter points")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="List meter points", description=LIST_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PointListQuery)
    @blueprint.response(200, PointPage, example=example_page(EXAMPLE_POINT))
    def list_points(query: dict[str, Any]) -> Response:
        statement = select(MeterPoint).order_by(MeterPoint.name)
        if "zone_id" in query:
            statement = statement.where(MeterPoint.zone_id.in_(zone_and_below(db.session, query["zone_id"])))
        for name in ("carrier", "role"):
            if name in query:
                statement = statement.where(getattr(MeterPoint, name) == query[name].value)
        return sql_page_answer(query, statement, present_points, MeterPoint.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewPoint, location="json")
    @blueprint.response(201, PointSchema, example=EXAMPLE_POINT)
    def add_point(body: dict[str, Any]) -> Response:
        """Create a meter point

        409 if the name is already used.
        """
        point = MeterPoint(parts=[])
        _change(point, body)
        db.session.add(point)
        _commit(point.name)
        return answer(present_point(point), 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, PointSchema, example=EXAMPLE_POINT)
    def show_point(point_id: int) -> Response:
        """Show a meter point"""
        return with_etag(answer(present_point(_find(point_id))))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(PointChange, location="json")
    @blueprint.response(200, PointSchema, example=EXAMPLE_POINT)
    def change_point(body: dict[str, Any], point_id: int) -> Response:
        """Change a meter point

        409 if the name is already used.
        """
        point = _find(point_id)
        _change(point, body)
        point.proposed = False
        _commit(point.name)
        return answer(present_point(point))

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_point(point_id: int) -> Response:
        """Delete a meter point

        The points below it lie below the one above it then. Nothing that was measured is deleted.
        """
        point = _find(point_id)
        remove_point(db.session, point)
        db.session.commit()
        return Response(status=204)

    add_proposal(blueprint)
    add_table(blueprint)
    return blueprint


def _find(point_id: int) -> MeterPoint:
    point = db.session.get(MeterPoint, point_id)
    if point is None:
        abort(404, f"There is no meter point {point_id}.")
    return point


def _change(point: MeterPoint, body: dict[str, Any]) -> None:
    """Change a row as a body says. Aborts with 422 for what does not fit together."""
    changer = PointChanger(db.session, get_context().registry, unknown_devices)
    try:
        changer.change(point, body)
    except PointChangeError as error:
        abort_body({error.field: [f"{error}."]})


def _commit(name: str) -> None:
    """Commit. Aborts with 409 if the name is already used."""
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409, f"There is already a meter point {name!r}.")
