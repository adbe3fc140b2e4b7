"""The plan of a tier: what it is computed from, how long it is kept, and which tier comes after it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest

from greenpower.catalog.facts import job_name
from greenpower.catalog.retention import raw_retention, tier_retention
from greenpower.config import Settings
from greenpower.datatype import DataType, Tier
from greenpower.measure.windows import HOUR

MINUTE = 60
# How often a window is computed while it is open: so many times from readings, so many from finer buckets.
TIMES_FROM_READINGS = 6
TIMES_FROM_BUCKETS = 20
CADENCES = (1, 2, 3, 5, 6, 10, 12, 15, 20, 30)


@dataclass(frozen=True, slots=True, kw_only=True)
class TierSource:
    """A collection that a tier can be computed from. window: of its buckets, None for readings. ttl: 0 for ever."""

    prefix: str
    collection: str
    window: int | None
    ttl: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TierPlan:
    """A tier of a data type. sources: what it can be computed from, the one to prefer first. next: the tier above."""

    datatype: DataType
    tier: Tier
    ttl: int
    sources: tuple[TierSource, ...]
    next: str | None

    @property
    def name(self) -> str:
        """`type/prefix`, as people write it."""
        return job_name(self.datatype, self.tier)

    @property
    def collection(self) -> str:
        """Where its documents are."""
        return self.tier.prefix + self.datatype.collection

    @property
    def window(self) -> int | None:
        """Length of its buckets in seconds; None for raw copies."""
        return self.tier.window

    @property
    def unit(self) -> int:
        """What is computed in one piece, in seconds."""
        return self.tier.window or HOUR

    @property
    def from_buckets(self) -> bool:
        """Whether it is ordinarily merged from finer buckets."""
        return self.sources[0].window is not None

    @property
    def every_minutes(self) -> int:
        """How often to compute it."""
        if self.window is None:
            return 1
        times = TIMES_FROM_BUCKETS if self.from_buckets else TIMES_FROM_READINGS
        return max((minutes for minutes in CADENCES if minutes * MINUTE * times <= self.window), default=1)


def make_plans(datatype: DataType, settings: Settings) -> tuple[TierPlan, ...]:
    """The plans of a type's tiers, finest first. Each prefers the coarsest of the finer buckets, then readings."""
    raw = TierSource(prefix="", collection=datatype.collection, window=None, ttl=raw_retention(settings))
    copies: list[TierSource] = [raw]
    buckets: list[TierSource] = []
    plans = []
    for tier, above in zip_longest(datatype.tiers, datatype.tiers[1:]):
        ttl = tier_retention(tier, settings)
        plans.append(
            TierPlan(
                datatype=datatype,
                tier=tier,
                ttl=ttl,
                sources=(*reversed(buckets), *copies),
                next=None if above is None else above.prefix,
            )
        )
        made = TierSource(prefix=tier.prefix, collection=plans[-1].collection, window=tier.window, ttl=ttl)
        (copies if tier.window is None else buckets).append(made)
    return tuple(plans)


def all_plans(datatypes: Iterable[DataType], settings: Settings) -> tuple[TierPlan, ...]:
    """The plans of all types."""
    return tuple(plan for datatype in datatypes for plan in make_plans(datatype, settings))


def find_plan(datatype: DataType, prefix: str, settings: Settings) -> TierPlan | None:
    """The plan of one tier, if there is such a tier."""
    return next((plan for plan in make_plans(datatype, settings) if plan.tier.prefix == prefix), None)
