"""`/api/service-zones/`: groups of devices."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError

from greenpower.api.devices.settings_cache import cache_settings
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.cache import with_etag
from greenpower.api.http.errors import abort_body
from greenpower.api.http.fields import EXAMPLE_TIME, WholeNumber, text_field, time_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.api.http.visible_devices import shown_zone
from greenpower.sql import Device, RoleName, ServiceZone
from greenpower.sql.extensions import db
from greenpower.sql.service_zone import zone_and_below
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):zone_id>/"
EXAMPLE_ZONE = {
    "id": 1,
    "name": "Block A",
    "description": "feeder 1",
    "parent_id": None,
    "devices": 12,
    "created_at": EXAMPLE_TIME,
    "updated_at": EXAMPLE_TIME,
}


class ZoneSchema(ma.Schema):
    """A zone."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the zone"))
    name = ma.fields.String(required=True, metadata=describe("name of the zone"))
    description = ma.fields.String(required=True, metadata=describe("description of the zone"))
    parent_id = ma.fields.Integer(
        required=True, allow_none=True, metadata=describe("the zone that it lies in; null: none that you may see")
    )
    devices = ma.fields.Integer(required=True, metadata=describe("number of devices in it, not in zones within it"))
    created_at = time_field("when it was created, UTC")
    updated_at = time_field("when it was last changed, UTC")


class ZonePage(PageSchema):
    """A page of zones."""

    results = ma.fields.List(ma.fields.Nested(ZoneSchema), required=True)


def _parent(**options: Any) -> ma.fields.Integer:
    return WholeNumber(
        allow_none=True,
        validate=ma.validate.Range(1, LARGEST_ID),
        metadata=describe("the zone that it lies in; null: none", example=1),
        **options,
    )


class NewZone(ma.Schema):
    """A new zone."""

    name = text_field("name of the zone, unique", 120, 1, example="Block A", required=True)
    description = text_field("description of the zone", 500, load_default="")
    parent_id = _parent(load_default=None)


class ZoneChange(ma.Schema):
    """Changes to a zone."""

    name = text_field("name of the zone, unique", 120, 1, example="Block A")
    description = text_field("description of the zone", 500)
    parent_id = _parent()


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("zones", __name__, url_prefix="/api/service-zones", description="Service zones")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, ZonePage, example=example_page(EXAMPLE_ZONE))
    def list_zones(query: dict[str, Any]) -> Response:
        """List service zones

        Ordered by name.
        """
        return sql_page_answer(query, select(ServiceZone).order_by(ServiceZone.name), _present_all, ServiceZone.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewZone, location="json")
    @blueprint.response(201, ZoneSchema, example=EXAMPLE_ZONE)
    def add_zone(body: dict[str, Any]) -> Response:
        """Create a service zone

        409 if the name is already used.
        """
        _check_parent(None, body["parent_id"])
        zone = ServiceZone(**body)
        db.session.add(zone)
        _commit(zone.name)
        return answer(_present(zone), 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, ZoneSchema, example=EXAMPLE_ZONE)
    def show_zone(zone_id: int) -> Response:
        """Show a service zone

        `/api/devices/?zone_id=` lists its devices.
        """
        return with_etag(answer(_present(_find(zone_id))))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(ZoneChange, location="json")
    @blueprint.response(200, ZoneSchema, example=EXAMPLE_ZONE)
    def change_zone(body: dict[str, Any], zone_id: int) -> Response:
        """Change a service zone

        409 if the name is already used.
        """
        zone = _find(zone_id)
        _check_parent(zone_id, body.get("parent_id"))
        for name, value in body.items():
            setattr(zone, name, value)
        _commit(zone.name)
        return answer(_present(zone))

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_zone(zone_id: int) -> Response:
        """Delete a service zone

        Its devices are kept, without a zone. The zones within it lie in the one around it then.
        """
        zone = _find(zone_id)
        for inner in db.session.scalars(select(ServiceZone).where(ServiceZone.parent_id == zone_id)):
            inner.parent_id = zone.parent_id
        devices = list(db.session.scalars(select(Device).where(Device.zone_id == zone_id)))
        for device in devices:
            device.zone = None
        db.session.flush()
        db.session.delete(zone)
        db.session.commit()
        cache_settings(devices)
        return Response(status=204)

    return blueprint


def _present(zone: ServiceZone) -> dict[str, Any]:
    return _present_all([zone])[0]


def _present_all(zones: list[ServiceZone]) -> list[dict[str, Any]]:
    """Zones as the API shows them."""
    ids = [zone.id for zone in zones]
    query = select(Device.zone_id, func.count()).where(Device.zone_id.in_(ids)).group_by(Device.zone_id)
    counts = {zone_id: count for zone_id, count in db.session.execute(query)}
    return [
        {name: getattr(zone, name) for name in EXAMPLE_ZONE if name != "devices"}
        | {"parent_id": shown_zone(zone.parent_id), "devices": counts.get(zone.id, 0)}
        for zone in zones
    ]


def _find(zone_id: int) -> ServiceZone:
    zone = db.session.get(ServiceZone, zone_id)
    if zone is None:
        abort(404, f"There is no service zone {zone_id}.")
    return zone


def _check_parent(zone_id: int | None, parent: int | None) -> None:
    """Abort with 422 for a zone that another cannot lie in."""
    if parent is None:
        return
    if db.session.get(ServiceZone, parent) is None:
        abort_body({"parent_id": [f"There is no service zone {parent}."]})
    if zone_id is not None and parent in zone_and_below(db.session, zone_id):
        abort_body({"parent_id": ["A zone cannot lie in itself."]})


def _commit(name: str) -> None:
    """Commit. Aborts with 409 if the name is already used."""
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409, f"There is already a service zone {name!r}.")
