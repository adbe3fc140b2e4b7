"""Looking for results that came too late: what jobs wrote that were frozen, killed or beside another one."""

from __future__ import annotations

from datetime import datetime

from greenpower.mongo.rollups.attempts import Attempt, forget_attempt, read_attempts
from greenpower.mongo.rollups.incidents import incidents_at
from greenpower.mongo.rollups.invalidations import Place, invalidate_now
from greenpower.mongo.rollups.write import written_at
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.tier_run import TierRun


def recover_late(run: TierRun) -> None:
    """Mark what attempts wrote that are on record, so that it is computed again. Raises PyMongoError.

    One that is done is dealt with then. One that is not may yet write: a frozen job's, or a killed one's, for a day.
    """
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    for attempt in read_attempts(run.attempts, name, prefix):
        places = {Place.of(name, prefix, device, time) for device, time in _late(run, attempt)}
        invalidate_now(run.invalidations, places)
        if attempt.done:
            forget_attempt(run.attempts, attempt)


def _late(run: TierRun, attempt: Attempt) -> set[tuple[str, datetime]]:
    """(device, time) of its results that are there, as far as anything can be computed again."""
    pieces = run.pieces(max(attempt.begin, run.kept_from), attempt.end)
    if not pieces:
        return set()
    begin, end = pieces[0][1], pieces[-1][2]
    found = written_at(run.output, begin, end, attempt.devices, attempt.as_of)
    return found | incidents_at(run.db[INCIDENTS], run.plan.datatype.name, begin, end, attempt.as_of)
