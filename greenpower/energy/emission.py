"""Emissions: kg of CO2 that amounts of energy stand for, by factors that are valid from a day on. Pure, exact."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from zoneinfo import ZoneInfo

from greenpower.datatype.carrier import Carrier, PointRole
from greenpower.energy.amount import Amount
from greenpower.energy.money import EXACT
from greenpower.measure.local_time import start_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Factor:
    """A factor. valid_from: a local day. kg_per_unit: for each unit of the carrier."""

    carrier: Carrier
    role: PointRole
    valid_from: date
    kg_per_unit: Decimal


@dataclass(frozen=True, slots=True, kw_only=True)
class EmissionBook:
    """The factors of one carrier and role, in a zone."""

    factors: Sequence[Factor]
    zone: ZoneInfo

    @classmethod
    def of(cls, factors: Iterable[Factor], carrier: Carrier, role: PointRole, zone: ZoneInfo) -> EmissionBook:
        """The book for points of a carrier and role."""
        own = [factor for factor in factors if factor.carrier is carrier and factor.role is role]
        return cls(factors=sorted(own, key=lambda factor: factor.valid_from), zone=zone)

    def cuts(self, begin: datetime, end: datetime) -> list[datetime]:
        """Where the factor changes between two times, UTC."""
        changes = (start_of(datetime.combine(factor.valid_from, time.min), self.zone) for factor in self.factors)
        return [change for change in changes if begin < change < end]

    def kilograms(self, begin: datetime, amount: Amount) -> Decimal | None:
        """What an amount stands for, that was counted from a time on; None where no factor is valid yet, or nothing is
        known of it."""
        day = begin.astimezone(self.zone).date()
        valid = [factor for factor in self.factors if factor.valid_from <= day]
        if not valid or not amount.counted:
            return None
        return EXACT.multiply(amount.exact, valid[-1].kg_per_unit)
