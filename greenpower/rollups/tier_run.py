"""A run of one tier: what it can be computed from now, and computing stretches of it.

Safe to stop anywhere and to run beside itself: every result is stored by `as_of`, the later one stays. What belongs
here: what all runs share. What does not: which stretches (`roll_forward`, `recompute`, `backfill`).
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta

from pymongo.database import Database
from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from greenpower.config import Settings
from greenpower.measure.grace import done_before
from greenpower.measure.spec import Spec
from greenpower.measure.window import ceil, floor
from greenpower.mongo.client import Document
from greenpower.mongo.readings.late import STAMP_AGAIN, is_late, patience
from greenpower.mongo.rollups.attempts import begin_attempt, finish_attempt
from greenpower.mongo.rollups.field_kinds import FieldKinds
from greenpower.mongo.rollups.incidents import read_decisions
from greenpower.mongo.rollups.invalidations import Place, invalidate_now
from greenpower.mongo.rollups.source import count_within, devices_within, first_time, keys
from greenpower.mongo.rollups.watermarks import EPOCH, Progress, note_horizon, read_progress, take_as_of
from greenpower.mongo.rollups.write import delete_documents, write_documents
from greenpower.mongo.schema.layout import ATTEMPTS, FIELD_KINDS, INCIDENTS, INVALIDATIONS, WATERMARKS
from greenpower.rollups.documents import Made, Task, Work
from greenpower.rollups.plan import Plan, Source

Clock = Callable[[], datetime]
Piece = tuple[Source, datetime, datetime]

# Documents that are held in memory at once: readings, or buckets, which are several times as large.
MOST_READINGS = 60_000
MOST_BUCKETS = 8_000
MOST_DEVICES = 500


@dataclass(slots=True)
class Counts:
    """What a run did. written: documents. stale: results that a newer one was ahead of. left_alone: windows that
    could not be computed from anything whole. marks: done. failed: marks whose computation failed."""

    written: int = 0
    stale: int = 0
    deleted: int = 0
    left_alone: int = 0
    invalidations: int = 0
    failed: int = 0


class TierRun:
    """One run of one tier. clock: gives the time, aware. Raises PyMongoError.

    accept_kinds: compute fields whose kind has changed, too; else they are left out until they are backfilled.
    """

    def __init__(
        self, db: Database[Document], plan: Plan, settings: Settings, clock: Clock, *, accept_kinds: bool = False
    ) -> None:
        self.db = db
        self.plan = plan
        self.clock = clock
        self.patience = patience(settings)
        self.counts = Counts()
        self.output = db[plan.collection]
        self.state = db[WATERMARKS]
        self.invalidations = db[INVALIDATIONS]
        # Not waited for: they are in the journal before the results that follow, and on as many servers. An attempt
        # whose removal is lost is looked at for nothing.
        self.attempts = db[ATTEMPTS].with_options(write_concern=WriteConcern(w=1))
        self.order = db[WATERMARKS].with_options(write_concern=WriteConcern(w=1))
        self.unit = timedelta(seconds=plan.unit)
        self.now = clock()
        ahead = timedelta(seconds=settings.clock_tolerance_seconds)
        # No reading is measured later than this, as far as devices' clocks are trusted.
        self.top = ceil(self.now + ahead, plan.unit) + self.unit
        self.field_kinds = FieldKinds(db[FIELD_KINDS], plan.datatype.name)
        declared = Spec.of(plan.datatype)
        self.changed_kinds = {} if accept_kinds else self.field_kinds.changed(declared.kinds)
        self.field_kinds.declare(declared.kinds)
        self.work = Work(
            db,
            plan,
            spec=Spec.of(plan.datatype, self.changed_kinds),
            decisions=read_decisions(db[INCIDENTS], plan.datatype.name) if declared.counters else {},
            field_kinds=self.field_kinds,
            clock=clock,
        )
        progress = {source.prefix: self.progress(source.prefix) for source in plan.sources}
        own = self.progress(plan.tier.prefix).watermark or EPOCH
        # What is behind this tier is being made anew, and not yet whole where this tier is done already.
        self.sources = tuple(s for s in plan.sources if not s.prefix or (progress[s.prefix].watermark or EPOCH) >= own)
        self.horizons = {
            source.prefix: note_horizon(self.state, plan.datatype.name, source.prefix, self.now, source.ttl)
            for source in plan.sources
        }
        self.target = self._target(progress)

    def progress(self, prefix: str) -> Progress:
        """The state of a tier of this type."""
        return read_progress(self.state, self.plan.datatype.name, prefix)

    def _target(self, progress: dict[str, Progress]) -> datetime:
        """Windows that end then or before are done: their grace is over, and so are those that they are merged from."""
        target = done_before(self.now, self.plan.window)
        below = self.sources[0]
        if below.window is None:
            return target
        return min(target, floor(progress[below.prefix].watermark or EPOCH, self.plan.unit))

    @property
    def kept_from(self) -> datetime:
        """The first window that this tier's retention still holds."""
        if not self.plan.ttl:
            return EPOCH
        return ceil(self.now - timedelta(seconds=self.plan.ttl), self.plan.unit)

    def first_reading(self, since: datetime = EPOCH) -> datetime | None:
        """The time of the first document that this tier can be computed from."""
        times = [first_time(self.db[source.collection], since) for source in self.sources]
        return min((time for time in times if time is not None), default=None)

    def pieces(self, begin: datetime, end: datetime) -> list[Piece]:
        """A stretch cut by what it can be computed from, oldest first, without what nothing whole is left of."""
        pieces = []
        for source in self.sources:
            whole = max(begin, ceil(self.horizons[source.prefix], self.plan.unit))
            if whole < end:
                pieces.append((source, whole, end))
                end = whole
        return pieces[::-1]

    def step(self, begin: datetime, end: datetime) -> datetime:
        """The end of what can be computed in one go: as many windows as fit into memory, at least one."""
        pieces = self.pieces(begin, end)
        if not pieces:
            return end
        source, _, end = pieces[0]
        most = _most(source)
        while end - begin > self.unit and count_within(self.db[source.collection], begin, end, most + 1) > most:
            end = begin + max(1, (end - begin) // self.unit // 2) * self.unit
        return end

    def compute(
        self, begin: datetime, end: datetime, devices: Sequence[str] | None = None, *, fresh: bool = False
    ) -> Made:
        """Compute and store `[begin, end)`, whole windows. devices: None for all.

        What is there and no source gives any more is deleted, unless the stretch is fresh: not computed before.
        """
        begin = max(begin, self.kept_from)
        result = Made()
        pieces = self.pieces(begin, end)
        if begin < end:
            self.counts.left_alone += ((pieces[0][1] if pieces else end) - begin) // self.unit
        if not pieces:
            return result
        with self._attempt((pieces[0][1], pieces[-1][2]), devices) as as_of:
            for source, since, until in pieces:
                for group in self._groups(source, since, until, devices):
                    task = Task(source=source, begin=since, end=until, devices=group, target=self.target, as_of=as_of)
                    with _without_collector():
                        made = self.work.make(task)
                    self.counts.stale += write_documents(self.output, made.documents, fresh=fresh)
                    self._stamp_late(made.documents, as_of)
                    self.counts.written += len(made.documents)
                    if not fresh:
                        self._delete_absent(task, made)
                    result.documents += made.documents
                    result.revisit |= made.revisit
        return result

    @contextmanager
    def _attempt(self, stretch: tuple[datetime, datetime], devices: Sequence[str] | None) -> Iterator[datetime]:
        """Keep on record that a stretch is being computed, and give the `as_of` of its results."""
        as_of = take_as_of(self.order)
        names = self.plan.datatype.name, self.plan.tier.prefix
        attempt = begin_attempt(self.attempts, *names, as_of, stretch, devices)
        try:
            yield as_of
        except Exception:
            with suppress(PyMongoError):
                finish_attempt(self.attempts, attempt, failed=True)
            raise
        finish_attempt(self.attempts, attempt)

    def _groups(
        self, source: Source, begin: datetime, end: datetime, devices: Sequence[str] | None
    ) -> Iterator[Sequence[str] | None]:
        """All devices at once, or, where one window of them is too much, group by group."""
        collection, most = self.db[source.collection], _most(source)
        if devices is not None and len(devices) == 1:
            yield devices
            return
        count = count_within(collection, begin, end, devices=devices)
        if count <= most and (devices is None or len(devices) <= MOST_DEVICES):
            yield devices
            return
        if devices is None:  # those as well that only have buckets left, so that these go
            there = devices_within(self.output, begin, end)
            devices = sorted({*devices_within(collection, begin, end), *there})
        names = devices
        size = max(1, min(MOST_DEVICES, len(names) * most // max(count, most)))
        for first in range(0, len(names), size):
            yield names[first : first + size]

    def _stamp_late(self, documents: Sequence[Document], as_of: datetime) -> None:
        """Stamp again what took too long to write. Killed before that, its attempt stays on record: it is made anew."""
        if not documents:
            return
        stamps = [document["updated_at"] for document in documents]
        if is_late(min(stamps), self.patience, self.clock()):
            written = {"updated_at": {"$gte": min(stamps), "$lte": max(stamps)}, "as_of": as_of}
            self.output.update_many(written, STAMP_AGAIN)

    def _delete_absent(self, task: Task, made: Made) -> None:
        there = keys(self.output, task.begin, task.end, task.devices)
        absent = there - {(document["device_id"], document["timestamp"]) for document in made.documents}
        delete_documents(self.output, absent, task.as_of)
        self.counts.deleted += len(absent)

    def pass_on(self, places: Iterable[tuple[str, datetime]]) -> None:
        """Mark the next tier where this one was computed again: (device, time within the window)."""
        if self.plan.next is not None:
            marked = {Place.of(self.plan.datatype.name, self.plan.next, device, time) for device, time in places}
            invalidate_now(self.invalidations, marked)


def _most(source: Source) -> int:
    return MOST_READINGS if source.window is None else MOST_BUCKETS


@contextmanager
def _without_collector() -> Iterator[None]:
    """Without the search for cycles: documents have none, and looking through them costs a third of the time."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
