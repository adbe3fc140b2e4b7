"""Catching up with the interval ledger: what a type's tiers were computed for before the ledger was.

The first runs after an upgrade write the ledger of all that is left, oldest first, in steps of a day at most: from
readings where these are whole, before that from the finest buckets that are. A bucket says when its last sample was, so
its energy is put there, flagged as an estimate. What belongs here: that walk. What does not: what runs write as they
go (`ledger`).
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime, timedelta

from pymongo.errors import PyMongoError

from greenpower.measure.counter.hold import Carry
from greenpower.measure.counter.state import correction, make_counter
from greenpower.measure.delta import delta_total
from greenpower.measure.kinds import STATES_OF
from greenpower.measure.slot import COUNTS_PER_UNIT, ESTIMATED, QUARTER_SECONDS, Slot, to_counts
from greenpower.measure.state import State
from greenpower.measure.windows import ceil, floor
from greenpower.mongo.client import Document
from greenpower.mongo.energy.carries import energy_key, registers_before
from greenpower.mongo.energy.ledger_part import DAY, LedgerPart, day_of
from greenpower.mongo.rollups.ranges import devices_in
from greenpower.mongo.rollups.source import STATES, by_device, count_within, devices_within, first_time
from greenpower.mongo.rollups.tier_view import TierView, read_tier_views
from greenpower.mongo.rollups.watermarks import EPOCH, read_progress
from greenpower.rollups.compute import attempt
from greenpower.rollups.ledger import invalidate_days, move_ledger, roll_parts, store_parts
from greenpower.rollups.parts import MAX_READINGS_PER_STEP, StepPart, cut
from greenpower.rollups.plan import TierSource
from greenpower.rollups.tier_run import MayContinue, TierRun, always

log = logging.getLogger(__name__)


def catch_up(run: TierRun, may_continue: MayContinue = always, *, end: datetime | None = None) -> None:
    """Write the ledger up to where its tier is, or to another `end`. may_continue: asked between steps; what is left is
    for the next run.

    Raises PyMongoError.
    """
    if run.ledger is None:
        return
    if end is None:
        end = read_progress(run.watermarks, run.plan.datatype.name, run.plan.tier.prefix).reached(run.ranges)
    if end is None or (run.ledger.until is not None and run.ledger.until >= end):
        return
    views = list(read_tier_views(run.db, run.plan.datatype, run.settings, run.ranges))
    here = run.ledger.until or EPOCH
    while here < end:
        times = [first_time(run.db[view.collection], here) for view in views]
        here = max(here, floor(min([*(time for time in times if time is not None), end]), run.plan.unit))
        if here < end:
            step_end = _step(run, views[0], here, end)
            _compute(run, views, here, step_end)
            move_ledger(run, here, step_end)
            here = step_end
        else:
            move_ledger(run, end, end)
        if not may_continue():
            return


def _step(run: TierRun, readings: TierView, begin: datetime, end: datetime) -> datetime:
    """The end of a step: midnight at the latest, and not with too many readings."""
    end = min(end, day_of(begin) + DAY)
    source = run.db[readings.collection]
    while end - begin > run.unit and count_within(source, begin, end, MAX_READINGS_PER_STEP) == MAX_READINGS_PER_STEP:
        end = begin + max(1, (end - begin) // run.unit // 2) * run.unit
    return end


def _compute(run: TierRun, views: list[TierView], begin: datetime, end: datetime) -> None:
    """Write the ledger of `[begin, end)`, which lies within a day.

    Devices whose computation fails are left out, and their hours invalidated; the following runs try again. Raises what
    all devices fail with, and PyMongoError.
    """
    with attempt(run, (begin, end), None) as as_of:
        run = run.reread_corrections()
        for view, since, until in _by_view(views, begin, end):
            try:
                _write(run, view, since, until, None, as_of)
            except PyMongoError:
                raise
            except Exception:
                devices = devices_in(devices_within(run.db[view.collection], since, until), run.ranges)
                failed = _write_apart(run, view, since, until, devices, as_of)
                if len(failed) == len(devices) > 1:
                    raise
                invalidate_days(run, [(device, day_of(since)) for device in failed], since, until)


def _write(
    run: TierRun, view: TierView, begin: datetime, end: datetime, devices: Sequence[str] | None, as_of: datetime
) -> None:
    source = TierSource(prefix="", collection=view.collection, window=view.window, ttl=0)
    parts = cut(run, source, begin, end, devices, fresh=True)
    if view.window is None:
        made = roll_parts(run, source, parts)
    else:
        made = ((part, _estimate(run, view, part)) for part in parts)
    for part, found in made:
        store_parts(run, part, found, as_of, fresh=True)


def _write_apart(
    run: TierRun, view: TierView, begin: datetime, end: datetime, devices: Sequence[str], as_of: datetime
) -> list[str]:
    """As `_write`, in halves where it fails. Returns the devices that it fails for."""
    try:
        _write(run, view, begin, end, devices, as_of)
    except PyMongoError:
        raise
    except Exception:
        if len(devices) == 1:
            log.exception("%s: %s could not be written into the ledger from %s on", run.plan.name, devices[0], begin)
            return list(devices)
        middle = len(devices) // 2
        return [
            device
            for half in (devices[:middle], devices[middle:])
            for device in _write_apart(run, view, begin, end, half, as_of)
        ]
    return []


def _by_view(views: list[TierView], begin: datetime, end: datetime) -> Iterator[tuple[TierView, datetime, datetime]]:
    """A stretch cut by the finest that is whole, oldest first."""
    found = []
    for index, view in enumerate(views):
        if end <= begin:
            break
        whole = EPOCH if index == len(views) - 1 else view.whole_from
        coarser = views[index + 1].window if index + 1 < len(views) else None
        since = max(begin, ceil(whole, coarser or QUARTER_SECONDS))
        done = end if view.window is None else min(end, view.done_until or EPOCH)
        if since < done:
            found.append((view, since, done))
        end = min(end, since)
    yield from reversed(found)


def _estimate(run: TierRun, view: TierView, part: StepPart) -> list[LedgerPart]:
    """What buckets say that counters counted in a part of a stretch."""
    assert view.window is not None
    found = by_device(run.db[view.collection], part.begin, part.end, part.devices, {**STATES, "device_id": 1})
    counters = sorted(run.spec.counters)
    known = registers_before(run.db, run.plan.datatype, list(found), part.begin, counters)
    keys = {field: energy_key(run.plan.datatype, field) for field in counters}
    parts = []
    for device, buckets in found.items():
        for field in counters:
            states = [(bucket, state) for bucket in buckets if keys[field] in (state := bucket["stats"].get(field, {}))]
            if states:
                parts.append(
                    _estimate_counter(
                        device,
                        field,
                        part,
                        states,
                        known.get(device, {}).get(field),
                        view.window,
                        STATES_OF[run.spec.kind(field)].merge,
                    )
                )
    return parts


def _estimate_counter(
    device: str,
    field: str,
    part: StepPart,
    states: list[tuple[Document, State]],
    before: Carry | None,
    window: int,
    merge: Callable[[Sequence[State]], State],
) -> LedgerPart:
    slots: list[Slot] = []
    holds = {}
    last = None if before is None or before.register is None else make_counter([before.value], [before.at])
    for bucket, state in states:
        if "last" in state:
            whole = merge([state] if last is None else [last, state])
            energy = to_counts(whole["last"]) - to_counts(whole["first"]) + round(correction(whole) * COUNTS_PER_UNIT)
            last = make_counter([state["last"]], [state["last_at"]])
        else:
            energy = round(delta_total(state) * COUNTS_PER_UNIT)
        start = floor(state["last_at"], QUARTER_SECONDS)
        if not slots or slots[-1].start != start:
            slots.append(Slot(start=start, flags=ESTIMATED))
        slots[-1].energy += energy
        slots[-1].n += state["n"]
        slots[-1].last, slots[-1].last_at = state.get("last"), state["last_at"]
        if hold := (bucket.get("holds") or {}).get(field):
            holds[bucket["timestamp"] + timedelta(seconds=window)] = hold
    return LedgerPart(
        device=device, field=field, begin=part.begin, end=part.end, slots=slots, holds=holds, resolution=window
    )
