"""Building a report from the answers of `/api/energy/`. Pure: nothing is computed anew, only put together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from zoneinfo import ZoneInfo

from greenpower.energy.calendar import local_text
from greenpower.mongo.client import Document
from greenpower.reports.period import ReportPeriod
from greenpower.reports.report import (
    CostsOf,
    Report,
    ReportDay,
    ReportHonesty,
    ReportMoney,
    ReportPeak,
    ReportPoint,
    ReportValue,
    ReportZone,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAnswers:
    """What was answered about a period. year_ago: the same with another comparison. days: the balance by days.
    costs_of: whose `cost` is. point_costs: that of each point. zones:
    the balance of each service zone, by its name. demand, availability: None where they could not be told."""

    consumption: Document
    balance: Document
    balance_year_ago: Document
    days: Document
    costs_of: CostsOf
    point_costs: Document
    cost: Document
    cost_year_ago: Document
    emissions: Document
    emissions_year_ago: Document
    demand: Document | None
    available: Mapping[int, tuple[int, int]] | None
    zones: Sequence[tuple[str, Document]]
    left_out: Sequence[str] = field(default_factory=tuple)


def build_report(period: ReportPeriod, scope: str, found: ReportAnswers, now: datetime) -> Report:
    """The report of a period. scope: name of the service zone, "" for the whole site."""
    total = found.balance["total"]
    consumption = total["consumption"]["energy"]
    zone = found.balance["tz"]
    points = _points(found)
    kg_points = found.emissions["points"]
    return Report(
        unit_name=period.unit.value,
        name=period.name,
        scope=scope,
        carrier=found.balance["carrier"],
        unit=found.balance["unit"],
        tz=zone,
        start=found.balance["start"],
        end=found.balance["end"],
        made_at=local_text(now.replace(microsecond=0), ZoneInfo(zone)),
        consumption=ReportValue(
            value=consumption,
            previous=found.balance["compared_total"],
            year_ago=found.balance_year_ago["compared_total"],
        ),
        unmetered=ReportValue(value=None if total["unmetered"] is None else total["unmetered"]["energy"]),
        roles={role: row["energy"] for role, row in total["roles"].items()},
        solar_used=total["solar_used"],
        solar_share=_part(total["solar_used"], consumption),
        self_sufficiency=total["self_sufficiency"],
        peaks=_peaks(found.demand),
        costs_of=found.costs_of,
        costs=_costs(found),
        kg=found.emissions["kg"] if kg_points else None,
        kg_previous=found.emissions["compared_kg"] if kg_points else None,
        kg_year_ago=found.emissions_year_ago["compared_kg"] if kg_points else None,
        days=[
            ReportDay(day=row["bucket"], energy=row["consumption"]["energy"], final=row["consumption"]["final"])
            for row in found.days["results"]
        ],
        zones=_zones(found, consumption),
        points=points,
        honesty=_honesty(found, points),
    )


def _part(value: float | None, whole: float | None) -> float | None:
    return None if value is None or not whole else value / whole


def _peaks(demand: Document | None) -> list[ReportPeak]:
    """The peaks of the points that were asked for, the highest first."""
    found = [
        ReportPeak(
            point=point["name"],
            power=point["peak"]["power"],
            unit=point["power_unit"],
            start=point["peak"]["start"],
            previous=point["compared_peak"],
            final=point["peak"]["final"],
            undecided=point["peak"]["undecided"],
        )
        for point in ([] if demand is None else demand["points"])
        if point["peak"] is not None
    ]
    return sorted(found, key=lambda peak: -peak.power)


def _costs(found: ReportAnswers) -> list[ReportMoney]:
    year_ago = {row["currency"]: row["compared_amount"] for row in found.cost_year_ago["totals"]}
    return [
        ReportMoney(
            currency=row["currency"],
            amount=row["amount"],
            rounded=row["rounded"],
            previous=row["compared_amount"],
            year_ago=year_ago.get(row["currency"]),
            adjustment=row["adjustment"],
        )
        for row in found.cost["totals"]
    ]


def _zones(found: ReportAnswers, whole: float | None) -> list[ReportZone]:
    """The zones, those that used most first; those of which nothing is known last."""
    rows = [
        ReportZone(
            name=name,
            energy=(energy := balance["total"]["consumption"]["energy"]),
            previous=balance["compared_total"],
            share=_part(energy, whole),
        )
        for name, balance in found.zones
    ]
    return sorted(rows, key=lambda zone: (zone.energy is None, -(zone.energy or 0.0), zone.name))


def _points(found: ReportAnswers) -> list[ReportPoint]:
    costs = {
        point["point_id"]: f"{point['total']['rounded']} {point['currency']}" for point in found.point_costs["points"]
    }
    kilograms = {point["point_id"]: point["total"]["kg"] for point in found.emissions["points"]}
    rows = []
    for point in found.consumption["points"]:
        number, total = point["point_id"], point["total"]
        expected, available = (found.available or {}).get(number, (0, 0))
        rows.append(
            ReportPoint(
                name=point["name"],
                role=point["role"],
                zone=point["zone"] or "",
                energy=total["energy"],
                available=None if not expected else round(100 * available / expected, 2),
                silence_s=total["silence_s"],
                undecided=total["undecided"],
                estimated=total["estimated"],
                final=total["final"],
                adjustment=total["adjustment"],
                cost=costs.get(number),
                kg=kilograms.get(number),
            )
        )
    return rows


def _honesty(found: ReportAnswers, points: Sequence[ReportPoint]) -> ReportHonesty:
    expected = sum(pair[0] for pair in (found.available or {}).values())
    available = sum(pair[1] for pair in (found.available or {}).values())
    unit = found.balance["unit"]
    adjustments = [
        f"{point['name']}, {row['month']}: {row['adjustment']} {unit} ({', '.join(row['reasons'])})"
        for point in found.consumption["points"]
        for row in point["total"]["closed"]
        if row["reasons"]
    ]
    closed = {row["month"] for point in found.consumption["points"] for row in point["total"]["closed"] if row["kept"]}
    return ReportHonesty(
        final=all(point.final for point in points),
        available=None if not expected else round(100 * available / expected, 2),
        silence_s=sum(point.silence_s for point in points),
        undecided=[point.name for point in points if point.undecided],
        estimated=[point.name for point in points if point.estimated],
        corrections=len(found.consumption["corrections"]),
        adjustments=adjustments,
        closed=sorted(closed),
        left_out=list(found.left_out),
    )
