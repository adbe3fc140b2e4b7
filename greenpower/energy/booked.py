"""Booked values: what a closed figure stands for in an answer, beside what is known now of its month. Pure, exact.

What belongs here: an amount, a cost and an emission as they were closed, and how they differ. What does not: which
months are closed and where they lie (`closed_month`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from bson import ObjectId

from greenpower.energy.amount import Amount, sum_next
from greenpower.energy.closing import Figure, FigureAdjustment, adjustment
from greenpower.energy.cost import Cost, CostKind
from greenpower.energy.money import EXACT, decimal_text, total
from greenpower.energy.point import Point
from greenpower.energy.site import PointTariff


@dataclass(frozen=True, slots=True)
class BookedCost:
    """A cost, and the energy that it is of."""

    cost: Cost
    amount: Amount


@dataclass(frozen=True, slots=True)
class BookedEmission:
    """Kilograms of CO2, None where nothing is known, and the energy that they are of. adjustment: what is known now
    less this, where figures of closed months are in it; else None."""

    kg: Decimal | None
    amount: Amount
    adjustment: Decimal | None = None


def sum_costs(several: Sequence[BookedCost]) -> BookedCost:
    """One after the other."""
    whole = Cost()
    for item in several:
        whole.add_cost(item.cost)
    return BookedCost(whole, sum_next(item.amount for item in several))


def sum_emissions(several: Sequence[BookedEmission]) -> BookedEmission:
    """One after the other."""
    return BookedEmission(
        sum_known(item.kg for item in several),
        sum_next(item.amount for item in several),
        sum_known(item.adjustment for item in several),
    )


@dataclass(frozen=True, slots=True)
class Bookkeeper:
    """Puts the closed figures of a point in place of what is known now. tariff: None where its cost is not asked for,
    or it has none."""

    point: Point
    tariff: PointTariff | None = None

    def amount(self, closed: Figure, now: Amount) -> tuple[Amount, FigureAdjustment | None] | None:
        """Energy."""
        if closed.unit != self.point.carrier.unit:
            return None
        return _closed_amount(closed, now), adjustment(closed, self._known(closed, now))

    def cost(self, closed: Figure, now: BookedCost) -> tuple[BookedCost, FigureAdjustment | None] | None:
        """Cost and energy; None in another currency."""
        currency = None if self.tariff is None else self.tariff.tariff.currency
        if closed.unit != self.point.carrier.unit or closed.currency not in (None, currency):
            return None
        known = now.cost.amount
        has_tariff = self.tariff is not None and bool(self.tariff.tariff.versions)
        later = replace(
            self._known(closed, now.amount),
            tariff_id=self.tariff.tariff.number if has_tariff and self.tariff is not None else None,
            currency=currency if has_tariff else None,
            amount=decimal_text(known) if has_tariff else None,
            versions=sorted({line.version for line in now.cost.lines.values()}),
        )
        cost = Cost(
            unpriced=billionths(closed.unpriced),
            adjustment=EXACT.subtract(known, Decimal(closed.amount or 0)),
        )
        for line in closed.lines:
            price, quantity, amount = (Decimal(line[name]) for name in ("price", "quantity", "amount"))
            cost.add(CostKind(line["kind"]), line["version_id"], line["name"], price, quantity, amount)
        return BookedCost(cost, _closed_amount(closed, now.amount)), adjustment(closed, later)

    def emission(self, closed: Figure, now: BookedEmission) -> tuple[BookedEmission, FigureAdjustment | None] | None:
        """CO2 and energy."""
        if closed.unit != self.point.carrier.unit:
            return None
        later = replace(self._known(closed, now.amount), kg=None if now.kg is None else decimal_text(now.kg))
        kg = None if closed.kg is None else Decimal(closed.kg)
        less = EXACT.subtract(now.kg or Decimal(0), kg or Decimal(0))
        return BookedEmission(kg, _closed_amount(closed, now.amount), less), adjustment(closed, later)

    def _known(self, closed: Figure, now: Amount) -> Figure:
        """The figure with the energy that is known now."""
        return replace(
            closed,
            energy=decimal_text(now.exact) if now.counted else None,
            undecided=now.undecided,
            corrections=sorted(map(str, now.corrections)),
            parts=[part.stored() for part in self.point.parts],
        )


def _closed_amount(closed: Figure, now: Amount) -> Amount:
    """The energy of a figure. Coverage and silence, which it does not keep, are those of now."""
    energy = billionths(closed.energy or "0")
    return replace(
        now,
        energy=energy,
        counted=closed.energy is not None,
        undecided=closed.undecided,
        final=True,
        corrections={ObjectId(name): None for name in closed.corrections},
        closed=True,
        adjustment=now.energy - energy,
    )


def billionths(text: str) -> int:
    """An exact amount of energy in billionths of its unit."""
    return int(Decimal(text).scaleb(9))


def sum_known(parts: Iterable[Decimal | None]) -> Decimal | None:
    """The exact sum of what is known; None where nothing is."""
    known = [part for part in parts if part is not None]
    return total(known) if known else None
