"""A run of one tier: what it works with, read once before anything is computed.

What belongs here: what all steps of a run share. What does not: computing (`compute`), which stretches (`roll_forward`,
`recompute`, `backfill`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from greenpower.config import Settings
from greenpower.measure.spec import Spec
from greenpower.measure.windows import ceil, done_before, floor
from greenpower.mongo.client import Document
from greenpower.mongo.readings.late import patience
from greenpower.mongo.rollups.field_kinds import FieldKinds
from greenpower.mongo.rollups.incidents import OperatorDecisions, read_decisions
from greenpower.mongo.rollups.watermarks import EPOCH, Progress, note_horizon, read_type_progress
from greenpower.mongo.schema.layout import ATTEMPTS, FIELD_KINDS, INCIDENTS, INVALIDATIONS, WATERMARKS
from greenpower.rollups.plan import TierPlan, TierSource

Clock = Callable[[], datetime]
MayContinue = Callable[[], bool]
# A stretch of time, and the source that it is computed from.
SourcedStretch = tuple[TierSource, datetime, datetime]


def always() -> bool:
    """A run that nothing stops."""
    return True


@dataclass(slots=True)
class Counts:
    """What a run did. written: documents. stale: results that were older than what was there. left_alone: windows that
    could not be computed from anything whole. invalidations: done. failed: those whose computation failed."""

    written: int = 0
    stale: int = 0
    deleted: int = 0
    left_alone: int = 0
    invalidations: int = 0
    failed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRun:
    """What one run of a tier works with; only `counts` and `field_kinds` change while it goes on.

    clock: gives the time, aware. now: its time when the run began. top: no reading is measured later than this, as far
    as devices' clocks are trusted. sources: what the tier can be computed from now, the one to prefer first.
    whole_from: by source's prefix, from when on nothing of it has expired. watermark: of this tier, None before its
    first run. target: windows that end then or before are done. changed_kinds: the fields that are left out, because
    their buckets are of another kind than is declared now: {field: (kept, declared)}.
    """

    db: Database[Document]
    plan: TierPlan
    output: Collection[Document]
    clock: Clock
    now: datetime
    patience: timedelta
    top: datetime
    sources: tuple[TierSource, ...]
    whole_from: Mapping[str, datetime]
    watermark: datetime | None
    target: datetime
    spec: Spec
    decisions: OperatorDecisions
    field_kinds: FieldKinds
    changed_kinds: Mapping[str, tuple[str, str]]
    counts: Counts = field(default_factory=Counts)

    @property
    def watermarks(self) -> Collection[Document]:
        return self.db[WATERMARKS]

    @property
    def invalidations(self) -> Collection[Document]:
        return self.db[INVALIDATIONS]

    @property
    def attempts(self) -> Collection[Document]:
        """Not waited for: an attempt is in the journal before the results that follow, and on as many servers. One
        whose removal is lost is looked at for nothing."""
        return self.db[ATTEMPTS].with_options(write_concern=WriteConcern(w=1))

    @property
    def unit(self) -> timedelta:
        """What is computed in one piece."""
        return timedelta(seconds=self.plan.unit)

    @property
    def kept_from(self) -> datetime:
        """The first window that this tier's retention still holds."""
        if not self.plan.ttl:
            return EPOCH
        return ceil(self.now - timedelta(seconds=self.plan.ttl), self.plan.unit)

    def by_source(self, begin: datetime, end: datetime) -> list[SourcedStretch]:
        """A stretch cut by what it can be computed from, oldest first, without what nothing whole is left of."""
        stretches = []
        for source in self.sources:
            whole = max(begin, ceil(self.whole_from[source.prefix], self.plan.unit))
            if whole < end:
                stretches.append((source, whole, end))
                end = whole
        return stretches[::-1]


def prepare(
    db: Database[Document], plan: TierPlan, settings: Settings, clock: Clock, *, accept_kinds: bool = False
) -> TierRun:
    """Read what a run needs, and write down the kinds of new fields and from when on each source is whole.

    accept_kinds: compute fields whose kind has changed, too; else they are left out until they are backfilled. Raises
    PyMongoError.
    """
    name, now = plan.datatype.name, clock()
    declared = Spec.from_datatype(plan.datatype)
    field_kinds = FieldKinds(db[FIELD_KINDS], name)
    changed_kinds = {} if accept_kinds else field_kinds.changed(declared.kinds)
    field_kinds.declare(declared.kinds)
    prefixes = {plan.tier.prefix, *(source.prefix for source in plan.sources)}
    progress = read_type_progress(db[WATERMARKS], name, prefixes)
    watermark = progress[plan.tier.prefix].watermark
    sources = _sources(plan, watermark, progress)
    latest = now + timedelta(seconds=settings.clock_tolerance_seconds)
    return TierRun(
        db=db,
        plan=plan,
        output=db[plan.collection],
        clock=clock,
        now=now,
        patience=patience(settings),
        top=ceil(latest, plan.unit) + timedelta(seconds=plan.unit),
        sources=sources,
        whole_from={
            source.prefix: note_horizon(db[WATERMARKS], name, source.prefix, now, source.ttl) for source in plan.sources
        },
        watermark=watermark,
        target=_target(plan, sources[0], progress, now),
        spec=Spec.from_datatype(plan.datatype, changed_kinds),
        decisions=read_decisions(db[INCIDENTS], name) if declared.counters else {},
        field_kinds=field_kinds,
        changed_kinds=changed_kinds,
    )


def _sources(plan: TierPlan, watermark: datetime | None, progress: Mapping[str, Progress]) -> tuple[TierSource, ...]:
    """Those that are as far as this tier. What is behind it is being made anew, and not whole yet."""
    done = watermark or EPOCH
    return tuple(s for s in plan.sources if not s.prefix or (progress[s.prefix].watermark or EPOCH) >= done)


def _target(plan: TierPlan, below: TierSource, progress: Mapping[str, Progress], now: datetime) -> datetime:
    """Windows that end then or before are done: their grace is over, and so are those that they are merged from."""
    target = done_before(now, plan.window)
    if below.window is None:
        return target
    return min(target, floor(progress[below.prefix].watermark or EPOCH, plan.unit))
