"""Which samples around a stretch what is in it may have decided: their windows are computed again with it.

The values of a reading hold as long as the gaps before it tell, and what a window begins with is the sample before it
(`held_after`). Counters are judged by more:

A sample decides what the three before it are, and it is one of the changes by which steps around are judged that are
steep or fall. In most stretches no step is: then only the nearest samples are affected.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from pymongo.collection import Collection

from greenpower.measure.column import is_number
from greenpower.measure.correction import SampleCorrections
from greenpower.measure.counter.day_begin import SAMPLES_BEHIND
from greenpower.measure.counter.rules import SAMPLES_AHEAD, CounterRules
from greenpower.measure.counter.silence import USUAL_GAPS
from greenpower.measure.spec import NO_DECISIONS
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected_by_device, corrected_neighbours
from greenpower.mongo.energy.device_rolling import STAGES_BEFORE
from greenpower.mongo.rollups.incidents import turning_near
from greenpower.mongo.rollups.source import READING, fields_within
from greenpower.mongo.rollups.stretch_readings import StretchReadings
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.plan import TierSource
from greenpower.rollups.tier_run import TierRun

LOOKED_AT, FARTHEST = STAGES_BEFORE

Sample = tuple[datetime, Any]


def find_affected(run: TierRun, device: str, begin: datetime, end: datetime) -> set[datetime]:
    """The times of samples around a stretch whose windows are to be computed with it, since their counters may change.
    Raises PyMongoError."""
    times: set[datetime] = set()
    for source, since, until in run.by_source(begin, end):
        if source.window is None:
            times |= _affected(run, source, device, since, until)
    return times


def find_held(run: TierRun, device: str, begin: datetime, end: datetime) -> set[datetime]:
    """The times of samples after a stretch whose windows have other means by it, also of one that the tier no longer
    keeps. Raises PyMongoError."""
    stretches = run.by_source(begin, end)
    if stretches and all(source.window is not None for source, _, _ in stretches):
        return set()
    return held_after(run.db[run.plan.datatype.collection], device, begin, end, run.corrections)


def held_after(
    readings: Collection[Document], device: str, begin: datetime, end: datetime, corrections: SampleCorrections
) -> set[datetime]:
    """The times of readings after a stretch whose values may hold longer or shorter by it, and of the next sample of
    each of their fields and of those within: what holds before it is another then. Raises PyMongoError."""
    found = corrected_neighbours(
        readings, device, end, USUAL_GAPS + 1, before=False, fields=(), corrections=corrections
    )
    times = {reading["timestamp"] for reading in found}
    if len(found) <= USUAL_GAPS:
        return times
    names = fields_within(readings, device, begin, end)
    names |= {name for reading in found for name in reading["payload"]}
    if left := names - {name for name, value in found[-1]["payload"].items() if is_number(value)}:
        after = found[-1]["timestamp"] + timedelta(milliseconds=1)
        further = corrected_neighbours(
            readings, device, after, FARTHEST, before=False, fields=sorted(left), corrections=corrections
        )
        for reading in further:
            if left & reading["payload"].keys():
                times.add(reading["timestamp"])
                left -= reading["payload"].keys()
    return times


def _affected(run: TierRun, source: TierSource, device: str, begin: datetime, end: datetime) -> set[datetime]:
    readings = run.db[source.collection]
    found_inside = StretchReadings.find(readings, begin, end, [device], READING)
    inside = corrected_by_device(found_inside, run.corrections).get(device, [])
    counters = run.spec.counters
    present = {name for reading in inside for name in reading["payload"]} & counters
    times: set[datetime] = set()
    sides: dict[bool, list[Document]] = {}
    for edge, before in ((begin, True), (end, False)):
        found = corrected_neighbours(
            readings,
            device,
            edge,
            LOOKED_AT,
            before=before,
            fields=sorted(present or counters),
            corrections=run.corrections,
        )
        sides[before] = found
        times.update(reading["timestamp"] for reading in _nearest(found, before))
    names = present or {name for side in sides.values() for reading in side for name in reading["payload"]} & counters
    for name in sorted(names):
        rules = run.spec.rules(name, NO_DECISIONS, run.powers.get(device))
        nearest = SAMPLES_BEHIND + 1 if rules.limits.daily else SAMPLES_AHEAD
        around: list[list[Sample]] = []
        for edge, before in ((begin, True), (end, False)):
            samples = _samples(sides[before], name)
            if len(samples) < nearest and len(sides[before]) == LOOKED_AT:
                far = corrected_neighbours(
                    readings,
                    device,
                    edge,
                    nearest,
                    before=before,
                    fields=(name,),
                    corrections=run.corrections,
                    having=name,
                )
                samples = _samples(far, name)
            times.update(time for time, _ in (samples[-nearest:] if before else samples[:nearest]))
            around.append(samples)
        series = [*around[0], *_samples(inside, name), *around[1]]
        times.update(time for time in _doubtful(series, rules) if not begin <= time < end)
        times.update(_after_pauses(series, end, run.plan.datatype.stale_after))
    for time in turning_near(run.db[INCIDENTS], run.plan.datatype.name, device, begin, end):
        edges = (time, begin) if time < begin else (end, time)
        query = {"device_id": device, "timestamp": {"$gte": edges[0], "$lt": edges[1]}}
        if readings.count_documents(query, limit=FARTHEST + 1) <= FARTHEST:
            times.add(time)
    return times


def _after_pauses(series: Sequence[Sample], end: datetime, shortest: float) -> Iterator[datetime]:
    """The times of samples after a stretch whose pause is a silence or none by what is usual: the gaps before it."""
    later = [time for time, _ in series if time >= end][: USUAL_GAPS + 2]
    return (time for before, time in pairwise(later) if (time - before).total_seconds() > shortest)


def _nearest(found: Sequence[Document], before: bool) -> Sequence[Document]:
    return found[-SAMPLES_AHEAD:] if before else found[:SAMPLES_AHEAD]


def _samples(readings: Iterable[Document], name: str) -> list[Sample]:
    return [(reading["timestamp"], value) for reading in readings if is_number(value := reading["payload"].get(name))]


def _doubtful(series: Sequence[Sample], rules: CounterRules) -> set[datetime]:
    """The times of samples that fall, or rise by more than needs no further look; of a net register, move by more."""
    found = set()
    for (time, value), (later, following) in pairwise(series):
        rise = following - value
        if rules.limits.net:
            rise = abs(rise)
        if rise < 0 or not rules.within_base(rise, (later - time).total_seconds()):
            found.add(later)
    return found
