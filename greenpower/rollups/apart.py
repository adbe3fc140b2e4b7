"""Computing a stretch so that a device whose computation fails does not hold back the others.

Of a stretch that fails, halves of its devices are computed, and of a half that fails its halves, until each device
that fails is found. It is left out: its hours are invalidated, before any watermark moves over them, and computed again
by the following runs until that works. What belongs here: finding who fails in a stretch that is computed for the first
time. What does not: computing again what was invalidated (`recompute`).
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import datetime

from pymongo.errors import PyMongoError

from greenpower.measure.windows import HOUR, starts
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.ranges import devices_in
from greenpower.mongo.rollups.source import devices_within
from greenpower.rollups.compute import compute
from greenpower.rollups.documents import Made
from greenpower.rollups.tier_run import MayContinue, TierRun, always

log = logging.getLogger(__name__)


def compute_apart(
    run: TierRun,
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None = None,
    *,
    fresh: bool = False,
    chain: bool = False,
    may_continue: MayContinue = always,
) -> Made:
    """As `compute`, without the devices whose computation fails.

    Raises PyMongoError, and what all devices of a stretch fail with: that is no device's fault, and nothing may go on
    over it. So where it is the only one, if ranges are computed alone because they have failed together.
    """
    try:
        return compute(run, begin, end, devices, fresh=fresh, chain=chain, may_continue=may_continue)
    except PyMongoError:
        raise
    except Exception as error:
        concerned = _devices(run, begin, end) if devices is None else list(devices)
        if devices is None and not concerned:
            raise
        log.warning("%s: %s of %d devices: %r", run.plan.name, begin, len(concerned), error)
        left_alone, made, failed = run.counts.left_alone, Made(), set[str]()
        for half in _halves(concerned):
            failed |= _compute(run, begin, end, half, made, chain, may_continue)
        # Of the stretch, not of each part of its devices.
        run.counts.left_alone = left_alone
        if devices is None and len(failed) == len(concerned) > (0 if run.failed_together else 1):
            raise
        _leave_out(run, begin, end, failed)
        return made


def _compute(
    run: TierRun,
    begin: datetime,
    end: datetime,
    devices: Sequence[str],
    made: Made,
    chain: bool,
    may_continue: MayContinue,
) -> set[str]:
    """Compute a stretch of some devices, in halves where it fails. made: gets the results. Returns who fails."""
    try:
        # Not fresh: what failed may have written a part of it.
        result = compute(run, begin, end, devices, chain=chain, may_continue=may_continue)
    except PyMongoError:
        raise
    except Exception:
        if len(devices) == 1:
            log.exception("%s: %s could not be computed from %s on", run.plan.name, devices[0], begin)
            return set(devices)
        failed: set[str] = set()
        for half in _halves(devices):
            failed |= _compute(run, begin, end, half, made, chain, may_continue)
        return failed
    made.documents += result.documents
    made.revisit |= result.revisit
    made.resettle |= result.resettle
    made.changed |= result.changed
    return set()


def _halves(devices: Sequence[str]) -> list[Sequence[str]]:
    middle = (len(devices) + 1) // 2
    return [half for half in (devices[:middle], devices[middle:]) if half]


def _devices(run: TierRun, begin: datetime, end: datetime) -> list[str]:
    """The run's devices that have anything in what a stretch is computed from."""
    stretches = [*run.by_source(begin, end), *run.by_source(begin, end, of_readings=True)]
    collections = {(source.collection, since, until) for source, since, until in stretches}
    found = {device for name, since, until in collections for device in devices_within(run.db[name], since, until)}
    return devices_in(sorted(found), run.ranges)


def _leave_out(run: TierRun, begin: datetime, end: datetime, failed: set[str]) -> None:
    """Have what is done of a stretch computed again for devices that failed; open windows are computed again anyway."""
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    done = min(end, run.target)
    places = {Place.of(name, prefix, device, hour) for device in failed for hour in starts(begin, done, HOUR)}
    if places:
        invalidate(run.invalidations, places)
    elif failed:
        # Else it counts where it is computed again, and fails again.
        run.counts.fail(failed, len(failed))
