"""A run of one tier: what it works with, read once before anything is computed.

What belongs here: what all steps of a run share. What does not: computing (`compute`), which stretches (`roll_forward`,
`recompute`, `backfill`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from pymongo.collection import Collection
from pymongo.database import Database
from pymongo.write_concern import WriteConcern

from greenpower.catalog.facts import ledger_tier
from greenpower.config import Settings
from greenpower.measure.correction import SampleCorrections
from greenpower.measure.spec import Spec
from greenpower.measure.windows import ceil
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import read_sample_corrections
from greenpower.mongo.devices.powers import read_powers
from greenpower.mongo.devices.zones import DeviceZones, read_zones
from greenpower.mongo.energy.before import RollContext, accept_none
from greenpower.mongo.readings.federated import FederatedDatabase
from greenpower.mongo.readings.late import patience
from greenpower.mongo.rollups.field_kinds import FieldKinds
from greenpower.mongo.rollups.incidents import OperatorDecisions, read_decisions
from greenpower.mongo.rollups.ranges import ALL_RANGES, Ranges
from greenpower.mongo.rollups.watermarks import EPOCH, RETENTION_MARGIN, Progress, note_horizon, read_type_progress
from greenpower.mongo.schema.layout import ATTEMPTS, FIELD_KINDS, INCIDENTS, INTERVALS, INVALIDATIONS, WATERMARKS
from greenpower.rollups.device_lists import DeviceLists
from greenpower.rollups.plan import TierPlan, TierSource
from greenpower.rollups.range_groups import Progresses, target_of, usable_sources

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
    could not be computed from anything whole. invalidations: done. failed: those whose computation failed. failing:
    their devices."""

    written: int = 0
    stale: int = 0
    deleted: int = 0
    left_alone: int = 0
    invalidations: int = 0
    failed: int = 0
    failing: list[str] = field(default_factory=list)

    def add(self, other: Counts) -> None:
        """Count what another run did, too. What was left alone is the same windows for all devices."""
        for name in ("written", "stale", "deleted", "invalidations"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.left_alone = max(self.left_alone, other.left_alone)
        self.fail(other.failing, other.failed)

    def fail(self, devices: Iterable[str], hours: int) -> None:
        """Count hours of devices whose computation failed."""
        self.failed += hours
        self.failing = sorted({*self.failing, *devices})


@dataclass(slots=True)
class LedgerProgress:
    """How far a type's interval ledger is; None where nothing of it was written yet."""

    until: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TierRun:
    """What one run of a tier works with; only `counts`, `ledger` and `field_kinds` change while it goes on.

    clock: gives the time, aware. now: its time when the run began. top: no reading is measured later than this, as
    far as devices' clocks are trusted. sources: what the tier can be computed from now, the one to prefer first.
    whole_from: by source's prefix, from when on nothing of it has expired. watermark: of this tier, None before its
    first run. target: windows that end then or before are done. changed_kinds: the fields that are left out,
    because their buckets are of another kind than is declared now: {field: (kept, declared)}. powers: greatest
    powers of devices, kW. zones: of devices, for daily counters. corrections: of samples. ledger: where the tier
    writes the interval ledger, how far that is; None where another tier does. ranges: the device ranges that it is of.
    lists: their devices. failed_together: whether these are computed alone because they failed with others.
    """

    db: Database[Document]
    plan: TierPlan
    settings: Settings
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
    corrections: SampleCorrections
    field_kinds: FieldKinds
    changed_kinds: Mapping[str, tuple[str, str]]
    powers: Mapping[str, float]
    zones: DeviceZones
    ranges: Ranges
    lists: DeviceLists
    failed_together: bool = False
    ledger: LedgerProgress | None = None
    counts: Counts = field(default_factory=Counts)

    @property
    def is_whole(self) -> bool:
        """Whether it is of all devices."""
        return self.ranges == ALL_RANGES

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
    def context(self) -> RollContext:
        """What rolling up readings needs."""
        return RollContext(
            db=self.db,
            datatype=self.plan.datatype,
            tier=self.output,
            spec=self.spec,
            decisions=self.decisions,
            settled_before=self.target,
            powers=self.powers,
            zones=self.zones,
            corrections=self.corrections,
            accept=self.field_kinds.accept if self.plan.datatype.open else accept_none,
        )

    @property
    def unit(self) -> timedelta:
        """What is computed in one piece."""
        return timedelta(seconds=self.plan.unit)

    @property
    def computed_from(self) -> datetime:
        """The first window that is computed again: of the tier, or of the ledger, which is kept for ever."""
        if self.ledger is None:
            return self.kept_from
        readings = (self.whole_from[source.prefix] for source in self.sources if source.window is None)
        return min(self.kept_from, *(ceil(time, self.plan.unit) for time in readings))

    def follows_ledger(self, begin: datetime) -> bool:
        """Whether what is computed from a time on is written into the ledger: not while it catches up to there."""
        return self.ledger is not None and self.ledger.until is not None and begin <= self.ledger.until

    def ledger_end(self, begin: datetime, end: datetime) -> datetime | None:
        """Where that part of a stretch ends that belongs in the ledger, the windows that are done; None for none."""
        done = min(end, self.target)
        return done if done > begin else None

    def new_part(self, begin: datetime, end: datetime) -> tuple[datetime, datetime]:
        """That part of a stretch that is done and not before the watermark; empty where there is none."""
        since, until = max(begin, self.watermark or EPOCH), min(end, self.target)
        return (since, until) if since < until else (end, end)

    def is_new(self, begin: datetime, end: datetime) -> bool:
        """Whether all of a stretch is done and not before the watermark."""
        return self.new_part(begin, end) == (begin, end)

    def reread_rules(self) -> TierRun:
        """The run with the decisions, powers, zones and corrections that are in force now. Raises PyMongoError."""
        run = self.reread_corrections()
        if not self.spec.counters:
            return run
        decisions = read_decisions(self.db[INCIDENTS], self.plan.datatype.name)
        zones = _read_zones(self.db, self.settings, self.spec)
        return replace(run, decisions=decisions, powers=read_powers(self.db), zones=zones)

    def reread_corrections(self) -> TierRun:
        """The run with the corrections of samples that are in force now. Raises PyMongoError.

        After the `as_of` of a result was taken: so what was made without a new correction is older than what is
        computed again because of it, and cannot take its place.
        """
        return replace(self, corrections=read_sample_corrections(self.db, self.plan.datatype.name))

    @property
    def kept_from(self) -> datetime:
        """The first window that this tier's retention still holds."""
        if not self.plan.ttl:
            return EPOCH
        return ceil(self.now - timedelta(seconds=self.plan.ttl), self.plan.unit)

    def by_source(self, begin: datetime, end: datetime, *, of_readings: bool = False) -> list[SourcedStretch]:
        """A stretch cut by what it can be computed from, oldest first, without what nothing whole is left of.

        of_readings: from readings only.
        """
        stretches = []
        for source in self.sources:
            if of_readings and source.window is not None:
                continue
            whole = max(begin, ceil(self.whole_from[source.prefix], self.plan.unit))
            if whole < end:
                stretches.append((source, whole, end))
                end = whole
        return stretches[::-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class RunStart:
    """What the runs of a tier's device ranges that begin together have in common. now: their time."""

    now: datetime
    lists: DeviceLists

    @classmethod
    def take(cls, db: Database[Document], clock: Clock) -> RunStart:
        """The start of what begins now."""
        return cls(now=clock(), lists=DeviceLists(db))


def read_tier_progress(db: Database[Document], plan: TierPlan) -> dict[str, Progress]:
    """How far a tier, what it is computed from and the ledger are, by prefix. Raises PyMongoError."""
    prefixes = {plan.tier.prefix, INTERVALS, *(source.prefix for source in plan.sources)}
    return read_type_progress(db[WATERMARKS], plan.datatype.name, prefixes)


def prepare(
    db: Database[Document],
    plan: TierPlan,
    settings: Settings,
    clock: Clock,
    *,
    accept_kinds: bool = False,
    ranges: Ranges = ALL_RANGES,
    start: RunStart | None = None,
    progress: Progresses | None = None,
) -> TierRun:
    """Read what a run needs, and write down the kinds of new fields and from when on each source is whole.

    accept_kinds: compute fields whose kind has changed, too; else they are left out until they are backfilled. start:
    if it does not begin by itself. progress: what `read_tier_progress` gave, if that is known. Raises PyMongoError.
    """
    start = start or RunStart.take(db, clock)
    name, now = plan.datatype.name, start.now
    declared = Spec.from_datatype(plan.datatype)
    field_kinds = FieldKinds(db[FIELD_KINDS], name)
    changed_kinds = {} if accept_kinds else field_kinds.changed(declared.kinds)
    field_kinds.declare(declared.kinds)
    progress = progress or read_tier_progress(db, plan)
    watermark = progress[plan.tier.prefix].reached(ranges)
    sources = usable_sources(plan, ranges, progress)
    latest = now + timedelta(seconds=settings.clock_tolerance_seconds)
    return TierRun(
        db=db,
        plan=plan,
        settings=settings,
        output=db[plan.collection],
        clock=clock,
        now=now,
        patience=patience(settings),
        top=ceil(latest, plan.unit) + timedelta(seconds=plan.unit),
        sources=sources,
        whole_from={source.prefix: _whole_from(db, name, source, now) for source in plan.sources},
        watermark=watermark,
        target=target_of(plan, sources[0], ranges, progress, now),
        spec=Spec.from_datatype(plan.datatype, changed_kinds),
        decisions=read_decisions(db[INCIDENTS], name) if declared.counters else {},
        corrections=read_sample_corrections(db, name),
        field_kinds=field_kinds,
        changed_kinds=changed_kinds,
        powers=read_powers(db) if declared.counters else {},
        zones=_read_zones(db, settings, declared),
        ranges=ranges,
        lists=start.lists,
        ledger=LedgerProgress(progress[INTERVALS].reached(ranges)) if ledger_tier(plan.datatype) == plan.tier else None,
    )


def _whole_from(db: Database[Document], type_name: str, source: TierSource, now: datetime) -> datetime:
    """From when on a source is whole, kept on record. Archived readings count, if none has expired before it was."""
    span = db.archived_span(type_name) if not source.prefix and isinstance(db, FederatedDatabase) else None
    if span is None or span.end < now - timedelta(seconds=source.ttl) + RETENTION_MARGIN:
        return note_horizon(db[WATERMARKS], type_name, source.prefix, now, source.ttl)
    return note_horizon(db[WATERMARKS], type_name, source.prefix, now, 0, span.begin)


def _read_zones(db: Database[Document], settings: Settings, spec: Spec) -> DeviceZones:
    """The zones of devices, where any field depends on them."""
    return DeviceZones(default=settings.device_zone, own=read_zones(db) if spec.has_days else {})
