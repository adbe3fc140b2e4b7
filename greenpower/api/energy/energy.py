"""`/api/energy/`: what people ask of meter points. One module for each question."""

from __future__ import annotations

from greenpower.api.energy.availability import add_availability
from greenpower.api.energy.balance import add_balance
from greenpower.api.energy.cost import add_cost
from greenpower.api.energy.demand import add_demand
from greenpower.api.energy.emissions import add_emissions
from greenpower.api.energy.flat_points import add_flat_points
from greenpower.api.energy.point_consumption import add_point_consumption
from greenpower.api.energy.profile import add_profile
from greenpower.api.energy.report import add_report
from greenpower.api.http.blueprint import Blueprint


def make_blueprint() -> Blueprint:
    """The resource."""
    blueprint = Blueprint("energy", __name__, url_prefix="/api/energy", description="Energy, demand and cost")
    for add in (
        add_point_consumption,
        add_balance,
        add_demand,
        add_profile,
        add_cost,
        add_emissions,
        add_availability,
        add_flat_points,
        add_report,
    ):
        add(blueprint)
    return blueprint
