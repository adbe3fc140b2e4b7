"""Closed figures of a month, and how they differ from what is known now. Pure, exact.

What belongs here: what is kept of a meter point, and the reasons of an adjustment. What does not: the row
(`greenpower.sql.closed_period`), computing figures (`greenpower.api.energy.closed_figures`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Any

from greenpower.energy.money import EXACT


class AdjustmentReason(StrEnum):
    """Why a figure is another one now. late_readings: readings that came later, or were computed again."""

    CORRECTION = "correction"
    CORRECTION_REVOKED = "correction_revoked"
    INCIDENT_DECISION = "incident_decision"
    POINT_CHANGED = "point_changed"
    TARIFF_VERSION = "tariff_version"
    EMISSION_FACTOR = "emission_factor"
    LATE_READINGS = "late_readings"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """What a meter point counted, cost and emitted in a month.

    energy, amount, kg: exact decimal numbers as texts; None where nothing is known, or the point has no tariff or
    factor. versions: of the tariff, that anything was paid by. corrections: that have changed the energy. parts: of the
    point, as they are stored. lines: of the bill. unpriced: energy without a price. undecided: an incident withheld
    energy.
    """

    point_id: int
    name: str
    unit: str
    energy: str | None
    undecided: bool
    corrections: Sequence[str]
    parts: Sequence[Mapping[str, Any]]
    tariff_id: int | None = None
    currency: str | None = None
    amount: str | None = None
    versions: Sequence[int] = ()
    lines: Sequence[Mapping[str, Any]] = ()
    unpriced: str = "0"
    kg: str | None = None

    def stored(self) -> dict[str, Any]:
        """As it is kept in SQL; `Figure(**stored)` is the same again."""
        found = asdict(self)
        return {name: list(value) if isinstance(value, tuple) else value for name, value in found.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class FigureAdjustment:
    """How a figure differs from a closed one: what is known now, less what was closed. None: it is the same, or cannot
    be told. corrections, versions: those that have come or gone."""

    closed: Figure
    now: Figure
    energy: Decimal | None
    amount: Decimal | None
    kg: Decimal | None
    reasons: Sequence[AdjustmentReason]
    corrections: Sequence[str]
    versions: Sequence[int]


def adjustment(closed: Figure, now: Figure) -> FigureAdjustment | None:
    """The adjustment of a figure; None where nothing is another."""
    energy, kg = _less(now.energy, closed.energy), _less(now.kg, closed.kg)
    amount = _less(now.amount, closed.amount) if now.currency == closed.currency or not now.currency else None
    moved = (now.energy, now.kg, now.amount, now.currency) != (closed.energy, closed.kg, closed.amount, closed.currency)
    if not moved:
        return None
    came, went = set(now.corrections) - set(closed.corrections), set(closed.corrections) - set(now.corrections)
    versions = set(now.versions) ^ set(closed.versions)
    reasons = []
    if came:
        reasons.append(AdjustmentReason.CORRECTION)
    if went:
        reasons.append(AdjustmentReason.CORRECTION_REVOKED)
    if closed.undecided and not now.undecided:
        reasons.append(AdjustmentReason.INCIDENT_DECISION)
    if list(now.parts) != list(closed.parts):
        reasons.append(AdjustmentReason.POINT_CHANGED)
    if now.energy != closed.energy and not reasons:
        reasons.append(AdjustmentReason.LATE_READINGS)
    if versions or now.tariff_id != closed.tariff_id:
        reasons.append(AdjustmentReason.TARIFF_VERSION)
    if now.kg != closed.kg and now.energy == closed.energy:
        reasons.append(AdjustmentReason.EMISSION_FACTOR)
    return FigureAdjustment(
        closed=closed,
        now=now,
        energy=energy,
        amount=amount,
        kg=kg,
        reasons=reasons or [AdjustmentReason.LATE_READINGS],
        corrections=sorted(came | went),
        versions=sorted(versions),
    )


def _less(now: str | None, closed: str | None) -> Decimal | None:
    """The difference of two texts; what is not known counts nothing."""
    if now == closed:
        return None
    return EXACT.subtract(Decimal(now or 0), Decimal(closed or 0))
