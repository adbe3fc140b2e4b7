"""`/api/energy/emission-factors/`: kg of CO2 for each unit of energy. A factor never changes; it is replaced."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
from flask import Response, abort
from sqlalchemy import select

from greenpower.api.energy.tariffs_schema import PRICE
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.fields import EXAMPLE_TIME, FullMatch, text_field, time_field, valid_from_field
from greenpower.api.http.json import answer
from greenpower.api.http.paging import PageQuery, PageSchema, example_page, sql_page_answer
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.sql import EmissionFactor, RoleName
from greenpower.sql.actor import current_actor
from greenpower.sql.extensions import db
from greenpower.sql.time import now
from greenpower.sql.user import LARGEST_ID

ITEM_PATH = f"/<int(min=1, max={LARGEST_ID}):factor_id>/"
EXAMPLE_FACTOR = {
    "id": 1,
    "carrier": Carrier.ELECTRICITY.value,
    "role": PointRole.GRID_IMPORT.value,
    "valid_from": "2026-01-01",
    "kg_per_unit": "0.363",
    "source": "supplier",
    "created_at": EXAMPLE_TIME,
    "created_by": "admin",
    "replaced_at": None,
}


class NewFactor(ma.Schema):
    """A new factor."""

    carrier = ma.fields.Enum(
        Carrier, by_value=True, load_default=Carrier.ELECTRICITY, metadata=describe("what points measure")
    )
    role = ma.fields.Enum(
        PointRole, by_value=True, load_default=PointRole.GRID_IMPORT, metadata=describe("role of the points")
    )
    valid_from = valid_from_field()
    kg_per_unit = ma.fields.String(
        required=True,
        validate=FullMatch(PRICE, error="Give a decimal number as text, such as 0.363."),
        metadata=describe("kg of CO2 for each unit; a decimal number as text", example="0.363"),
    )
    source = text_field("where it comes from", 300, load_default="", example="supplier")


class FactorSchema(ma.Schema):
    """A factor."""

    id = ma.fields.Integer(required=True, metadata=describe("id of the factor"))
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("what points measure"))
    role = ma.fields.Enum(PointRole, by_value=True, required=True, metadata=describe("role of the points"))
    valid_from = ma.fields.Date(required=True, metadata=describe("local day from which it is valid"))
    kg_per_unit = ma.fields.String(required=True, metadata=describe("kg of CO2 for each unit", example="0.363"))
    source = ma.fields.String(required=True, metadata=describe("where it comes from", example="supplier"))
    created_at = time_field("when it was made, UTC")
    created_by = ma.fields.String(required=True, allow_none=True, metadata=describe("who made it", example="admin"))
    replaced_at = time_field("when another one took its place, UTC; null: it is in force", null=True)


class FactorPage(PageSchema):
    """A page of factors."""

    results = ma.fields.List(ma.fields.Nested(FactorSchema), required=True)


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint(
        "emission_factors", __name__, url_prefix="/api/energy/emission-factors", description="Emission factors"
    )

    @blueprint.route("/")
    @blueprint.guarded(RoleName.VIEWER, in_zones=True)
    @blueprint.errors(422, 503)
    @blueprint.arguments(PageQuery)
    @blueprint.response(200, FactorPage, example=example_page(EXAMPLE_FACTOR))
    def list_emission_factors(query: dict[str, Any]) -> Response:
        """List emission factors

        The newest first, those that were replaced included.
        """
        statement = select(EmissionFactor).order_by(EmissionFactor.id.desc())
        return sql_page_answer(query, statement, _present_all, EmissionFactor.id, descending=True)

    @blueprint.route("/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(400, 413, 415, 422, 503)
    @blueprint.arguments(NewFactor, location="json")
    @blueprint.response(201, FactorSchema, example=EXAMPLE_FACTOR)
    def add_emission_factor(body: dict[str, Any]) -> Response:
        """Add an emission factor

        One for the same carrier, role and day takes the place of the one before.
        """
        actor = current_actor()
        carrier, role = body["carrier"].value, body["role"].value
        same = select(EmissionFactor).where(
            EmissionFactor.carrier == carrier,
            EmissionFactor.role == role,
            EmissionFactor.valid_from == body["valid_from"],
            EmissionFactor.replaced_at.is_(None),
        )
        for other in db.session.scalars(same):
            other.replaced_at = now()
        made = EmissionFactor(
            **{**body, "carrier": carrier, "role": role}, created_by=None if actor is None else actor.name
        )
        db.session.add(made)
        db.session.commit()
        return answer(_present(made), 201)

    @blueprint.route(ITEM_PATH, methods=["DELETE"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(404, 503)
    @blueprint.response(200, FactorSchema, example=EXAMPLE_FACTOR)
    def withdraw_emission_factor(factor_id: int) -> Response:
        """Withdraw an emission factor

        It is kept, with the time.
        """
        factor = db.session.get(EmissionFactor, factor_id)
        if factor is None or factor.replaced_at is not None:
            abort(404, f"There is no emission factor {factor_id} in force.")
        factor.replaced_at = now()
        db.session.commit()
        return answer(_present(factor))

    return blueprint


def _present_all(factors: list[EmissionFactor]) -> list[dict[str, Any]]:
    return [_present(factor) for factor in factors]


def _present(factor: EmissionFactor) -> dict[str, Any]:
    return {
        **{name: getattr(factor, name) for name in EXAMPLE_FACTOR},
        "valid_from": factor.valid_from.isoformat(),
    }
