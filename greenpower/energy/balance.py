"""The balance of a site or zone: where energy comes from, where it goes, and what no meter sees. Pure, exact.

    consumption = grid_import + solar + generator + battery_out - grid_export - battery_in
                  where no point brings energy: the sum of the loads
    unmetered   = consumption - loads; below each point: what it has and the points below it have not
    own use     = solar - grid_export, not below 0

Only the topmost points of a selection count: what lies below one of them is in it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenpower.datatype.carrier import PointRole
from greenpower.energy.amount import Amount, sum_beside
from greenpower.energy.point import Point
from greenpower.energy.site import EnergySite

Amounts = Mapping[int, Sequence[Amount]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """The balance of a bucket. roles: what the topmost points of each role counted. solar_used: of solar energy, what
    was not sold; None without solar points. self_sufficiency: the part of the consumption that the grid did not bring,
    0 to 1; None where that says nothing."""

    roles: Mapping[PointRole, Amount]
    consumption: Amount
    unmetered: Amount | None
    solar_used: int | None
    self_sufficiency: float | None


def balances(site: EnergySite, points: Sequence[Point], amounts: Amounts, buckets: int) -> list[Balance]:
    """The balance of each bucket of points of one carrier."""
    by_role = {role: tops for role in PointRole if (tops := site.top(point for point in points if point.role is role))}
    return [
        make_balance({role: sum_beside(amounts[point.number][at] for point in tops) for role, tops in by_role.items()})
        for at in range(buckets)
    ]


def make_balance(roles: Mapping[PointRole, Amount]) -> Balance:
    """The balance of what the roles counted."""
    has_sources = any(role.is_source for role in roles)
    loads = roles.get(PointRole.LOAD)
    if not has_sources:
        return Balance(
            roles=roles, consumption=loads or Amount(), unmetered=None, solar_used=None, self_sufficiency=None
        )
    consumption = Amount()
    for role, amount in roles.items():
        if role.is_source or role.is_sink:
            consumption.add_beside(amount, 1 if role.is_source else -1)
    unmetered = None
    if loads is not None:
        unmetered = sum_beside([consumption])
        unmetered.add_beside(loads, -1)
    solar_used = None
    if (solar := roles.get(PointRole.SOLAR)) is not None and solar.counted:
        sold = roles.get(PointRole.GRID_EXPORT, Amount())
        solar_used = max(0, solar.energy - max(0, sold.energy))
    return Balance(
        roles=roles,
        consumption=consumption,
        unmetered=unmetered,
        solar_used=solar_used,
        self_sufficiency=_self_sufficiency(consumption, roles.get(PointRole.GRID_IMPORT)),
    )


def _self_sufficiency(consumption: Amount, bought: Amount | None) -> float | None:
    if not consumption.counted or consumption.energy <= 0:
        return None
    part = 1 - (0 if bought is None else bought.energy) / consumption.energy
    return round(min(1.0, max(0.0, part)), 4)


def unmetered_below(site: EnergySite, point: Point, amounts: Amounts, at: int) -> Amount | None:
    """What a point has in a bucket, and the points right below it have not; None where there is none below it."""
    below = site.below.get(point.number, ())
    if not below:
        return None
    rest = sum_beside([amounts[point.number][at]])
    for inner in below:
        rest.add_beside(amounts[inner.number][at], -1)
    return rest
