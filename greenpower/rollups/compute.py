"""Computing stretches of a tier and storing them.

Safe to stop anywhere and to run twice at once: results are stored in the order of `as_of`, the later one stays. What
belongs here: how a stretch is computed in bounded memory. What does not: which stretches (`roll_forward`, `recompute`,
`backfill`), how documents are made (`documents`).
"""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime

from pymongo.errors import PyMongoError
from pymongo.write_concern import WriteConcern

from greenpower.mongo.client import Document
from greenpower.mongo.readings.late import STAMP_AGAIN, is_late
from greenpower.mongo.rollups.attempts import begin_attempt, finish_attempt
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.source import count_within, devices_within, first_time, keys
from greenpower.mongo.rollups.tier_documents import delete_documents, write_documents
from greenpower.mongo.rollups.watermarks import EPOCH, take_as_of
from greenpower.rollups.documents import Made, Task, make_documents
from greenpower.rollups.plan import TierSource
from greenpower.rollups.tier_run import TierRun

# Documents that are held in memory at once: readings, or buckets, which are several times as large.
MAX_READINGS_PER_STEP = 60_000
MAX_BUCKETS_PER_STEP = 8_000
MAX_DEVICES_PER_STEP = 500


def first_reading(run: TierRun, since: datetime = EPOCH) -> datetime | None:
    """The time of the first document, from `since` on, that the tier can be computed from."""
    times = [first_time(run.db[source.collection], since) for source in run.sources]
    return min((time for time in times if time is not None), default=None)


def end_of_step(run: TierRun, begin: datetime, end: datetime) -> datetime:
    """The end of what can be computed in one go: as many windows as fit into memory, at least one."""
    stretches = run.by_source(begin, end)
    if not stretches:
        return end
    source, _, end = stretches[0]
    most = _max_documents(source)
    while end - begin > run.unit and count_within(run.db[source.collection], begin, end, most + 1) > most:
        end = begin + max(1, (end - begin) // run.unit // 2) * run.unit
    return end


def compute(
    run: TierRun, begin: datetime, end: datetime, devices: Sequence[str] | None = None, *, fresh: bool = False
) -> Made:
    """Compute and store `[begin, end)`, whole windows. devices: None for all.

    What is there and no source gives any more is deleted, unless the stretch is fresh: not computed before. Raises
    PyMongoError.
    """
    begin = max(begin, run.kept_from)
    result = Made()
    stretches = run.by_source(begin, end)
    if begin < end:
        run.counts.left_alone += ((stretches[0][1] if stretches else end) - begin) // run.unit
    if not stretches:
        return result
    with _attempt(run, (stretches[0][1], stretches[-1][2]), devices) as as_of:
        for source, since, until in stretches:
            for group in _device_groups(run, source, since, until, devices):
                task = Task(source=source, begin=since, end=until, devices=group, as_of=as_of)
                with _without_collector():
                    made = make_documents(run, task)
                run.counts.stale += write_documents(run.output, made.documents, fresh=fresh)
                _stamp_late(run, made.documents, as_of)
                run.counts.written += len(made.documents)
                if not fresh:
                    _delete_absent(run, task, made)
                result.documents += made.documents
                result.revisit |= made.revisit
    return result


def invalidate_next(run: TierRun, times: Iterable[tuple[str, datetime]]) -> None:
    """Invalidate the next tier where this one was computed again: (device, time within the window)."""
    if run.plan.next is not None:
        name, prefix = run.plan.datatype.name, run.plan.next
        invalidate(run.invalidations, {Place.of(name, prefix, device, time) for device, time in times})


@contextmanager
def _attempt(run: TierRun, stretch: tuple[datetime, datetime], devices: Sequence[str] | None) -> Iterator[datetime]:
    """Keep on record that a stretch is being computed, and give the `as_of` of its results."""
    as_of = take_as_of(run.watermarks.with_options(write_concern=WriteConcern(w=1)))
    attempt = begin_attempt(run.attempts, run.plan.datatype.name, run.plan.tier.prefix, as_of, stretch, devices)
    try:
        yield as_of
    except Exception:
        with suppress(PyMongoError):
            finish_attempt(run.attempts, attempt, failed=True)
        raise
    finish_attempt(run.attempts, attempt)


def _device_groups(
    run: TierRun, source: TierSource, begin: datetime, end: datetime, devices: Sequence[str] | None
) -> Iterator[Sequence[str] | None]:
    """All devices at once, or, where one window of them is too much, group by group."""
    collection, most = run.db[source.collection], _max_documents(source)
    if devices is not None and len(devices) == 1:
        yield devices
        return
    count = count_within(collection, begin, end, devices=devices)
    if count <= most and (devices is None or len(devices) <= MAX_DEVICES_PER_STEP):
        yield devices
        return
    if devices is None:  # those as well that only have buckets left, so that these go
        devices = sorted({*devices_within(collection, begin, end), *devices_within(run.output, begin, end)})
    size = max(1, min(MAX_DEVICES_PER_STEP, len(devices) * most // max(count, most)))
    for first in range(0, len(devices), size):
        yield devices[first : first + size]


def _stamp_late(run: TierRun, documents: Sequence[Document], as_of: datetime) -> None:
    """Stamp again what took too long to write. A run that is killed before that leaves its attempt on record."""
    if not documents:
        return
    stamps = [document["updated_at"] for document in documents]
    if is_late(min(stamps), run.patience, run.clock()):
        written = {"updated_at": {"$gte": min(stamps), "$lte": max(stamps)}, "as_of": as_of}
        run.output.update_many(written, STAMP_AGAIN)


def _delete_absent(run: TierRun, task: Task, made: Made) -> None:
    there = keys(run.output, task.begin, task.end, task.devices)
    absent = there - {(document["device_id"], document["timestamp"]) for document in made.documents}
    delete_documents(run.output, absent, task.as_of)
    run.counts.deleted += len(absent)


def _max_documents(source: TierSource) -> int:
    return MAX_READINGS_PER_STEP if source.window is None else MAX_BUCKETS_PER_STEP


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
