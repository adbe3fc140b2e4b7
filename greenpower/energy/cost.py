"""What a meter point costs: energy by rates, standing charges, the charge for the highest demand. Pure, exact.

    energy      counted in a stretch with one rate, times its price; of a point of role grid_export negative
    standing    a day's charge at the local midnight that begins it; a month's is spread over its days
    demand      of each local month, at the interval that was its highest

So the cost of a bucket does not depend on the range that was asked for, and buckets add up to the whole. What does not
belong here: reading what was counted (`point_reader`), rounding (`money.rounded`).
"""

from __future__ import annotations

from bisect import bisect_right
from calendar import monthrange
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction

from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.demand import PeakDemand
from greenpower.energy.money import EXACT, share_of_month, total
from greenpower.energy.rate_calendar import RateSpan
from greenpower.energy.tariff import ChargePeriod, Direction, TariffVersion
from greenpower.measure.local_time import start_of

DAY = timedelta(days=1)


class CostKind(StrEnum):
    """What a line of a bill is for."""

    ENERGY = "energy"
    STANDING = "standing"
    DEMAND = "demand"


@dataclass(slots=True)
class CostLine:
    """A line of a bill. version, name: of the part of the tariff. quantity: energy in the carrier's unit, days, or kW.
    amount: exact."""

    kind: CostKind
    version: int
    name: str
    price: Decimal
    quantity: Decimal = Decimal(0)
    amount: Decimal = Decimal(0)

    def add(self, quantity: Decimal, amount: Decimal) -> None:
        """Add to it."""
        self.quantity = EXACT.add(self.quantity, quantity)
        self.amount = EXACT.add(self.amount, amount)


@dataclass(slots=True, kw_only=True)
class Cost:
    """The cost of a bucket, or of several. unpriced: energy for which the tariff has no price, in billionths.
    adjustment: what is known now less this, where figures of closed months are in it; else None."""

    lines: dict[tuple[CostKind, int, str], CostLine] = field(default_factory=dict)
    unpriced: int = 0
    adjustment: Decimal | None = None

    @property
    def ordered_lines(self) -> list[CostLine]:
        """Its lines in an order that does not depend on what came first."""
        if len(self.lines) < 2:
            return list(self.lines.values())
        return sorted(self.lines.values(), key=_order)

    @property
    def amount(self) -> Decimal:
        """The exact sum of the lines."""
        return total([line.amount for line in self.lines.values()])

    def add(self, kind: CostKind, version: int, name: str, price: Decimal, quantity: Decimal, amount: Decimal) -> None:
        """Add to a line."""
        key = (kind, version, name)
        line = self.lines.get(key)
        if line is None:
            self.lines[key] = CostLine(kind, version, name, price, quantity, amount)
        else:
            line.add(quantity, amount)

    def add_cost(self, other: Cost) -> None:
        """Add that of another bucket or point."""
        for key, line in other.lines.items():
            known = self.lines.get(key)
            if known is None:
                self.lines[key] = CostLine(line.kind, line.version, line.name, line.price, line.quantity, line.amount)
            else:
                known.add(line.quantity, line.amount)
        self.unpriced += other.unpriced
        if other.adjustment is not None:
            self.adjustment = EXACT.add(self.adjustment or Decimal(0), other.adjustment)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostGroups:
    """Stretches that are in one bucket and have one rate, which need to be known together only.

    cuts: the boundaries of stretches: those of buckets, and where the rate changes. numbers: the group of each stretch.
    rates: of each group its bucket, and one of its spans.
    """

    cuts: Sequence[datetime]
    numbers: Sequence[int]
    rates: Sequence[tuple[int, RateSpan]]

    @classmethod
    def of(cls, buckets: Sequence[datetime], spans: Sequence[RateSpan]) -> CostGroups:
        """The groups of spans without a gap between the first and the last boundary of buckets."""
        cuts = sorted({*buckets, *(span.begin for span in spans), *(span.end for span in spans)})
        known: dict[tuple[int, int, int], int] = {}
        numbers: list[int] = []
        rates: list[tuple[int, RateSpan]] = []
        place = bucket = 0
        for begin in cuts[:-1]:
            while spans[place].end <= begin:
                place += 1
            while buckets[bucket + 1] <= begin:
                bucket += 1
            span = spans[place]
            # A version and a rate are what they are: two that are equal may have other names.
            key = (bucket, id(span.version), id(span.rate))
            if key not in known:
                known[key] = len(rates)
                rates.append((bucket, span))
            numbers.append(known[key])
        return cls(cuts=cuts, numbers=numbers, rates=rates)


@dataclass(frozen=True, slots=True, kw_only=True)
class CostBook:
    """What costs are made from.

    buckets: boundaries, UTC. groups: of the stretches between them. direction: EXPORT for sold
    energy, whose amounts are negative. fixed: whether the point pays what does not depend on its energy: it is the one
    that has the tariff, not one below it.
    """

    buckets: Sequence[datetime]
    versions: Sequence[TariffVersion]
    direction: Direction
    groups: CostGroups
    fixed: bool = True

    def costs(self, amounts: Sequence[Amount], peaks: Mapping[date, PeakDemand] | None = None) -> list[Cost]:
        """The cost of each bucket. amounts: of the groups. peaks: by the first day of the month, where the tariff has a
        demand charge."""
        costs = [Cost() for _ in self.buckets[1:]]
        for (bucket, span), amount in zip(self.groups.rates, amounts, strict=True):
            self._add_energy(costs[bucket], span, amount)
        if self.versions and self.fixed and self.direction is Direction.IMPORT:
            self._add_standing(costs)
            for month, demand in (peaks or {}).items():
                self._add_demand(costs, month, demand)
        return costs

    def _bucket(self, at: datetime) -> int:
        return bisect_right(self.buckets, at) - 1

    def _add_energy(self, cost: Cost, span: RateSpan, amount: Amount) -> None:
        if not amount.counted:
            return
        if span.rate is None or span.version is None:
            cost.unpriced += amount.energy
            return
        energy = amount.exact
        paid = EXACT.multiply(energy, span.rate.price)
        if self.direction is Direction.EXPORT:
            paid = -paid
        cost.add(CostKind.ENERGY, span.version.number, span.rate.name, span.rate.price, energy, paid)

    def _add_standing(self, costs: Sequence[Cost]) -> None:
        zone = self.versions[0].zone
        day = self.buckets[0].astimezone(zone).date()
        last = self.buckets[-1].astimezone(zone).date()
        while day <= last:
            begin = start_of(datetime.combine(day, time.min), zone)
            version = valid_version(self.versions, day)
            if version is not None and self.buckets[0] <= begin < self.buckets[-1]:
                cost = costs[self._bucket(begin)]
                for charge in version.standing:
                    amount = charge.price
                    if charge.per is ChargePeriod.MONTH:
                        amount = share_of_month(charge.price, day.day - 1, monthrange(day.year, day.month)[1])
                    cost.add(CostKind.STANDING, version.number, charge.name, charge.price, Decimal(1), amount)
            day += DAY

    def _add_demand(self, costs: Sequence[Cost], month: date, demand: PeakDemand) -> None:
        """The charge of a month, with the version that is valid at its end; of the demand only whole billionths."""
        last_day = month.replace(day=monthrange(month.year, month.month)[1])
        version = valid_version(self.versions, last_day)
        if version is None or version.demand is None or not self.buckets[0] <= demand.begin < self.buckets[-1]:
            return
        charge = version.demand
        power = max(Decimal(0), EXACT.subtract(_billionths(demand.power), charge.free))
        cost = costs[self._bucket(demand.begin)]
        cost.add(CostKind.DEMAND, version.number, charge.name, charge.price, power, EXACT.multiply(power, charge.price))


KIND_ORDER = {kind: place for place, kind in enumerate(CostKind)}


def _order(line: CostLine) -> tuple[int, int, str]:
    return KIND_ORDER[line.kind], line.version, line.name


def valid_version(versions: Iterable[TariffVersion], day: date) -> TariffVersion | None:
    """The version that is valid on a local day."""
    valid = (version for version in versions if version.valid_from <= day)
    return max(valid, key=lambda version: version.valid_from, default=None)


def _billionths(number: Fraction) -> Decimal:
    """A number to the nearest billionth."""
    return Decimal(round(number * UNIT)).scaleb(-9)
