"""`/api/energy/divisors/`: what amounts of meter points can be divided by, made, changed and deleted by people."""

from __future__ import annotations

from typing import Any

from flask import Response, abort
from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

from greenpower.api.energy.divisors_schema import (
    EXAMPLE_DIVISOR,
    DivisorChange,
    DivisorPage,
    DivisorSchema,
    NewDivisor,
    present_divisor,
)
from greenpower.api.http.blueprint import Blueprint
from greenpower.api.http.context import get_context
from greenpower.api.http.errors import abort_body
from greenpower.api.http.json import answer
from greenpower.api.http.known import unknown_devices
from greenpower.api.http.paging import PageQuery, example_page, sql_page_answer
from greenpower.catalog.facts import counters
from greenpower.energy.divisor import DivisorKind
from greenpower.sql import Divisor, RoleName, ServiceZone
from greenpower.sql.extensions import db
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):divisor_id>/"
LIST_DESCRIPTION = """A divisor is a floor area or a number of beds, whose value may change from a day on, or a counter
of a device, such as one of pieces. With `per` the answers about meter points have each amount for one of it."""


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("divisors", __name__, url_prefix="/api/energy/divisors", description="Divisors")

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.doc(summary="List divisors", description=LIST_DESCRIPTION)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, DivisorPage, example=example_page(EXAMPLE_DIVISOR))
    def list_divisors(query: dict[str, Any]) -> Response:
        statement = select(Divisor).order_by(Divisor.name)
        return sql_page_answer(query, statement, lambda rows: list(map(present_divisor, rows)), Divisor.name)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 409, 413, 415, 422, 503)
    @blueprint.arguments(NewDivisor, location="json")
    @blueprint.response(201, DivisorSchema, example=EXAMPLE_DIVISOR)
    def add_divisor(body: dict[str, Any]) -> Response:
        """Create a divisor

        409 if the name is already used.
        """
        divisor = Divisor(content={})
        _change(divisor, body)
        db.session.add(divisor)
        _commit(divisor.name)
        return answer(present_divisor(divisor), 201)

    @blueprint.route(ITEM_PATH)
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(404, 503)
    @blueprint.response(200, DivisorSchema, example=EXAMPLE_DIVISOR)
    def show_divisor(divisor_id: int) -> Response:
        """Show a divisor"""
        return answer(present_divisor(_find(divisor_id)))

    @blueprint.route(ITEM_PATH, methods=["PATCH"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 404, 409, 413, 415, 422, 503)
    @blueprint.arguments(DivisorChange, location="json")
    @blueprint.response(200, DivisorSchema, example=EXAMPLE_DIVISOR)
    def change_divisor(body: dict[str, Any], divisor_id: int) -> Response:
        """Change a divisor

        409 if the name is already used.
        """
        divisor = _find(divisor_id)
        _change(divisor, body)
        _commit(divisor.name)
        return answer(present_divisor(divisor))

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(204)
    def delete_divisor(divisor_id: int) -> Response:
        """Delete a divisor"""
        db.session.delete(_find(divisor_id))
        db.session.commit()
        return Response(status=204)

    return blueprint


def _find(divisor_id: int) -> Divisor:
    divisor = db.session.get(Divisor, divisor_id)
    if divisor is None:
        abort(404, f"There is no divisor {divisor_id}.")
    return divisor


def _change(divisor: Divisor, body: dict[str, Any]) -> None:
    """Change a row as a body says. Aborts with 422 for what does not fit together."""
    for name in ("name", "unit"):
        if name in body:
            setattr(divisor, name, body[name])
    if "zone_id" in body:
        with db.session.no_autoflush:
            if body["zone_id"] is not None and db.session.get(ServiceZone, body["zone_id"]) is None:
                abort_body({"zone_id": [f"There is no service zone {body['zone_id']}."]})
        divisor.zone_id = body["zone_id"]
    given = [name for name in ("values", "counter") if name in body]
    if len(given) > 1:
        abort_body({"counter": ["Give either `values` or `counter`."]})
    if given == ["values"]:
        days = [one["valid_from"] for one in body["values"]]
        if len(set(days)) < len(days):
            abort_body({"values": ["Two values are valid from the same day."]})
        values = [{**one, "valid_from": one["valid_from"].isoformat()} for one in body["values"]]
        divisor.kind = DivisorKind.CONSTANT.value
        divisor.content = {"values": sorted(values, key=lambda one: str(one["valid_from"]))}
    elif given == ["counter"]:
        divisor.kind, divisor.content = DivisorKind.COUNTER.value, {"counter": _counter(body["counter"])}
    elif divisor.id is None:
        abort_body({"values": ["Give `values` or `counter`."]})


def _counter(counter: dict[str, str]) -> dict[str, str]:
    datatype = get_context().registry.get(counter["type"])
    if datatype is None or counter["field"] not in counters(datatype):
        abort_body({"counter": [f"{counter['type']} has no counter {counter['field']!r}."]})
    if unknown_devices([counter["device_id"]]):
        abort_body({"counter": [f"unknown device: {counter['device_id']!r}."]})
    return counter


def _commit(name: str) -> None:
    """Commit. Aborts with 409 if the name is already used."""
    try:
        db.session.commit()
    except IntegrityError:
        db.session.rollback()
        abort(409, f"There is already a divisor {name!r}.")
