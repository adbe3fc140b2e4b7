"""Computing stretches of a tier and storing them.

Safe to stop anywhere and to run twice at once: results are stored in the order of `as_of`, the later one stays. What
belongs here: how a stretch is computed in bounded memory. What does not: which stretches (`roll_forward`, `recompute`,
`backfill`), how documents are made (`documents`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from functools import partial

from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from greenpower.measure.windows import floor, starts
from greenpower.mongo.client import Document
from greenpower.mongo.readings.late import STAMP_AGAIN, is_late
from greenpower.mongo.rollups.attempts import begin_attempt, finish_attempt
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.source import first_time, keys
from greenpower.mongo.rollups.tier_documents import delete_documents, final_among, write_documents
from greenpower.mongo.rollups.watermarks import EPOCH, take_as_of
from greenpower.rollups.documents import Made, Task, fetch_readings, make_documents
from greenpower.rollups.ends import changed_ends, read_ends
from greenpower.rollups.ledger import invalidate_days, store_parts, write_ledger
from greenpower.rollups.parts import StepPart, cut
from greenpower.rollups.read_ahead import read_ahead
from greenpower.rollups.tier_run import MayContinue, TierRun, always

SECONDS_PER_DAY = 86_400

DeviceTime = tuple[str, datetime]


def first_reading(run: TierRun, since: datetime = EPOCH) -> datetime | None:
    """The time of the first document, from `since` on, that the tier can be computed from."""
    times = [first_time(run.db[source.collection], since) for source in run.sources]
    return min((time for time in times if time is not None), default=None)


def compute(
    run: TierRun,
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None = None,
    *,
    fresh: bool = False,
    chain: bool = False,
    may_continue: MayContinue = always,
) -> Made:
    """Compute and store `[begin, end)`, whole windows. devices: None for all of the run's ranges.

    What is there and no source gives any more is deleted. fresh: not what is new, the windows that are done and not
    before the watermark: nothing of them was computed before, unless as open windows.
    chain: find out of which counters another register, or another open fall, is at the end now (`Made.changed`).
    may_continue: asked between parts, so that a lock is prolonged; a step goes on to its end all the same. Raises
    PyMongoError.
    """
    result, wanted, ledger = Made(), True, run.follows_ledger(begin)
    old = (begin, min(end, run.kept_from))
    begin = max(begin, run.kept_from)
    stretches = run.by_source(begin, end)
    if begin < end:
        run.counts.left_alone += ((stretches[0][1] if stretches else end) - begin) // run.unit
    older = run.by_source(*old, of_readings=True) if ledger and old[0] < old[1] else []
    times = [time for _, since, until in (*older, *stretches) for time in (since, until)]
    if not times:
        return result
    with attempt(run, (times[0], times[-1]), devices) as as_of:
        run = run.reread_corrections()
        for _, since, until in older:
            _write_ledger(run, since, until, devices, as_of, fresh=fresh)
        for source, since, until in stretches:
            parts = cut(run, source, since, until, devices, fresh=fresh and run.is_new(since, until))
            for part, readings in read_ahead(parts, partial(fetch_readings, run, source)):
                task = Task(
                    source=source,
                    begin=part.begin,
                    end=part.end,
                    devices=part.devices,
                    as_of=as_of,
                    ledger_end=run.ledger_end(part.begin, part.end) if ledger and source.window is None else None,
                    readings=readings,
                )
                with _without_collector():
                    made = _compute_part(run, task, fresh=fresh, chain=chain)
                result.documents += made.documents
                result.revisit |= made.revisit
                result.resettle |= made.resettle
                result.changed |= made.changed
                wanted = wanted and may_continue()
            if ledger and source.window is not None:
                _write_ledger(run, since, until, devices, as_of, fresh=fresh)
    return result


def _compute_part(run: TierRun, task: Task, *, fresh: bool, chain: bool) -> Made:
    """Compute and store what is in memory at once."""
    made = make_documents(run, task)
    for device, since, until in made.over:
        invalidate_days(run, [(device, day) for day in starts(since, until, SECONDS_PER_DAY)], since, until)
    before = read_ends(run, task) if chain else {}
    begin, end = run.new_part(task.begin, task.end) if fresh else (task.end, task.end)
    new = [document for document in made.documents if begin <= document["timestamp"] < end]
    old = made.documents if not new else [one for one in made.documents if not begin <= one["timestamp"] < end]
    run.counts.stale += write_documents(run.output, new, fresh=True) + write_documents(run.output, old)
    _stamp_late(run, made.documents, task.as_of)
    run.counts.written += len(made.documents)
    for since, until in ((task.begin, begin), (end, task.end)):
        if since < until:
            _delete_absent(run, replace(task, begin=since, end=until), old)
    if chain and task.source.window is None:
        made.changed = changed_ends(before, made.documents)
    if task.ledger_end is not None:
        part = StepPart(task.devices, task.begin, task.ledger_end)
        store_parts(run, part, made.parts, task.as_of, fresh=fresh and run.is_new(part.begin, part.end))
    return made


def _write_ledger(
    run: TierRun, begin: datetime, end: datetime, devices: Sequence[str] | None, as_of: datetime, *, fresh: bool
) -> None:
    """Write the ledger of a stretch whose buckets are not made from readings."""
    if (done := run.ledger_end(begin, end)) is not None:
        write_ledger(run, begin, done, devices, as_of, fresh=fresh and run.is_new(begin, done))


def revisited(run: TierRun, made: Made) -> tuple[set[DeviceTime], set[DeviceTime]]:
    """(device, window) before what was computed: those that it may have changed, and those that it only settles. Raises
    PyMongoError."""
    must = {(device, floor(time, run.plan.unit)) for device, time in made.revisit}
    settle = {(device, floor(time, run.plan.unit)) for device, time in made.resettle} - must
    return must, settle - final_among(run.output, settle)


def invalidate_next(run: TierRun, times: Iterable[tuple[str, datetime]]) -> None:
    """Invalidate the next tier where this one was computed again: (device, time within the window)."""
    if run.plan.next is not None:
        name, prefix = run.plan.datatype.name, run.plan.next
        invalidate(run.invalidations, {Place.of(name, prefix, device, time) for device, time in times})


@contextmanager
def attempt(run: TierRun, stretch: tuple[datetime, datetime], devices: Sequence[str] | None) -> Iterator[datetime]:
    """Keep on record that a stretch is being computed, and give the `as_of` of its results."""
    as_of = take_as_of(run.watermarks.with_options(write_concern=WriteConcern(w=1)))
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    started = begin_attempt(run.attempts, name, prefix, as_of, stretch, devices, run.ranges)
    try:
        yield as_of
    except Exception:
        with suppress(PyMongoError):
            finish_attempt(run.attempts, started, failed=True)
        raise
    finish_attempt(run.attempts, started)


def _stamp_late(run: TierRun, documents: Sequence[Document], as_of: datetime) -> None:
    """Stamp again what took too long to write. A run that is killed before that leaves its attempt on record."""
    if not documents:
        return
    stamps = [document["updated_at"] for document in documents]
    if is_late(min(stamps), run.patience, run.clock()):
        written = {"updated_at": {"$gte": min(stamps), "$lte": max(stamps)}, "as_of": as_of}
        run.output.update_many(written, STAMP_AGAIN)


def _delete_absent(run: TierRun, task: Task, made: Sequence[Document]) -> None:
    there = keys(run.output, task.begin, task.end, task.devices)
    absent = there - {(document["device_id"], document["timestamp"]) for document in made}
    delete_documents(run.output, absent, task.as_of)
    run.counts.deleted += len(absent)


@contextmanager
def _without_collector() -> Iterator[None]:
    """Without the search for cycles: documents have none, and it costs a tenth of the CPU (docs/decisions/0016)."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
