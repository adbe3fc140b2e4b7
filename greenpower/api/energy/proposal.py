"""`/api/energy/points/proposal/`: meter points that could be made of the devices that are there, and making them."""

from __future__ import annotations

from typing import Any

import marshmallow as ma
import pymongo
from flask import Response, abort
from sqlalchemy.exc import IntegrityError

from greenpower.api.energy.points_schema import EXAMPLE_POINT, PointPartSchema, PointSchema, present_part, present_point
from greenpower.api.http.blueprint import Blueprint, describe
from greenpower.api.http.context import database, get_context
from greenpower.api.http.json import answer
from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.proposal import MAX_PROPOSED_POINTS, LeftOut, Proposal, ProposedPoint, WhyNot
from greenpower.energy.proposal_reader import make_proposed, read_proposal
from greenpower.mongo.query import QUERY_SECONDS
from greenpower.sql import RoleName
from greenpower.sql.extensions import db

PROPOSAL_SECONDS = 8 * QUERY_SECONDS
DESCRIPTION = f"""A point for each counter that stands for the energy of a device, as its data type declares, with the
role that such devices mostly have, in the zone of the device. Counters that are parts of points are left alone. At most
{MAX_PROPOSED_POINTS} at once."""


class ProposedPointSchema(ma.Schema):
    """A meter point that could be made."""

    name = ma.fields.String(required=True, metadata=describe("name of the point", example=EXAMPLE_POINT["name"]))
    carrier = ma.fields.Enum(Carrier, by_value=True, required=True, metadata=describe("what it measures"))
    unit = ma.fields.String(required=True, metadata=describe("unit of its amounts", example="kWh"))
    role = ma.fields.Enum(PointRole, by_value=True, required=True, metadata=describe("the part it plays in the site"))
    parts = ma.fields.List(ma.fields.Nested(PointPartSchema), required=True)
    zone_id = ma.fields.Integer(required=True, allow_none=True, metadata=describe("service zone of the device"))


class LeftOutSchema(ma.Schema):
    """Counters of a device that make no point now."""

    type = ma.fields.String(required=True, metadata=describe("data type"))
    device_id = ma.fields.String(required=True, metadata=describe("the device"))
    fields_ = ma.fields.List(
        ma.fields.String(), required=True, data_key="fields", metadata=describe("the counters that it could be made of")
    )
    why = ma.fields.Enum(
        WhyNot,
        by_value=True,
        required=True,
        metadata=describe(
            "`not_shown`: the device has not sent them lately; `nothing_counted`: they show 0; `other_unit`: their unit"
            " is not one of the carrier"
        ),
    )


class ProposalSchema(ma.Schema):
    """Meter points that could be made."""

    points = ma.fields.List(ma.fields.Nested(ProposedPointSchema), required=True)
    left_out = ma.fields.List(ma.fields.Nested(LeftOutSchema), required=True)
    in_points = ma.fields.Integer(
        required=True, metadata=describe("how many others are parts of meter points already", example=3)
    )
    more = ma.fields.Boolean(required=True, metadata=describe("whether there are further ones, after these are made"))


class MadePointsSchema(ma.Schema):
    """Meter points that were made."""

    made = ma.fields.List(ma.fields.Nested(PointSchema), required=True)
    more = ma.fields.Boolean(required=True, metadata=describe("whether there are further ones"))


def add_proposal(blueprint: Blueprint) -> None:
    """Add the routes."""

    @blueprint.route("/proposal/")
    @blueprint.guarded(RoleName.VIEWER)
    @blueprint.doc(summary="Propose meter points from the devices that are there", description=DESCRIPTION)
    @blueprint.errors(503)
    @blueprint.response(200, ProposalSchema)
    def show_proposal() -> Response:
        return answer(_present(_read()))

    @blueprint.route("/proposal/", methods=["POST"])
    @blueprint.guarded(RoleName.OPERATOR)
    @blueprint.errors(409, 503)
    @blueprint.response(200, MadePointsSchema)
    def make_proposal() -> Response:
        """Make the proposed meter points

        A second call makes none. 409 if somebody made one of the same name meanwhile: nothing is made then.
        """
        proposal = _read()
        try:
            made = make_proposed(db.session, proposal)
        except IntegrityError:
            db.session.rollback()
            abort(409, "A meter point of the same name was made meanwhile. Try again.")
        return answer({"made": [present_point(point) for point in made], "more": proposal.more})


def _read() -> Proposal:
    context = get_context()
    confirmed = context.settings.device_policy != "open"
    with pymongo.timeout(PROPOSAL_SECONDS):
        return read_proposal(db.session, database(), context.registry, confirmed=confirmed)


def _present(proposal: Proposal) -> dict[str, Any]:
    return {
        "points": list(map(_point, proposal.points)),
        "left_out": list(map(_left_out, proposal.left_out)),
        "in_points": proposal.in_points,
        "more": proposal.more,
    }


def _point(point: ProposedPoint) -> dict[str, Any]:
    return {
        "name": point.name,
        "carrier": point.carrier.value,
        "unit": point.carrier.unit,
        "role": point.role.value,
        "parts": [present_part(part.stored()) for part in point.parts],
        "zone_id": point.zone,
    }


def _left_out(item: LeftOut) -> dict[str, Any]:
    return {"type": item.type, "device_id": item.device_id, "fields": list(item.fields), "why": item.why.value}
