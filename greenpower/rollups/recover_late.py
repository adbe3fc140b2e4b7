"""Recovering from results that came too late: those of runs that were frozen, killed or beside another run.

`compute` keeps each attempt at a stretch on record until its results are written; what is still on record at the next
run is looked at here (`greenpower.mongo.rollups.attempts` says why).
"""

from __future__ import annotations

from datetime import datetime

from greenpower.measure.windows import HOUR, starts
from greenpower.mongo.energy.ledger import ledger_written_at
from greenpower.mongo.energy.ledger_part import DAY
from greenpower.mongo.rollups.attempts import Attempt, forget_attempt, read_attempts
from greenpower.mongo.rollups.incidents import incidents_at
from greenpower.mongo.rollups.invalidations import Place, invalidate
from greenpower.mongo.rollups.tier_documents import written_at
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.rollups.tier_run import TierRun


def recover_late(run: TierRun) -> None:
    """Invalidate what attempts on record have written, so that it is computed again. Raises PyMongoError.

    An attempt that is done is forgotten then. One that is not may still write, a frozen one's for a day: it stays.
    """
    name, prefix = run.plan.datatype.name, run.plan.tier.prefix
    for attempt in read_attempts(run.attempts, name, prefix, run.ranges):
        places = {Place.of(name, prefix, device, time) for device, time in _written(run, attempt)}
        invalidate(run.invalidations, places)
        if attempt.done:
            forget_attempt(run.attempts, attempt)


def _written(run: TierRun, attempt: Attempt) -> set[tuple[str, datetime]]:
    """(device, time) of its results that are there, as far as anything can be computed again."""
    stretches = run.by_source(max(attempt.begin, run.kept_from), attempt.end)
    if not stretches:
        return _written_in_ledger(run, attempt)
    begin, end = stretches[0][1], stretches[-1][2]
    found = written_at(run.output, begin, end, attempt.devices, attempt.as_of)
    found |= incidents_at(run.db[INCIDENTS], run.plan.datatype.name, begin, end, attempt.as_of)
    return found | _written_in_ledger(run, attempt)


def _written_in_ledger(run: TierRun, attempt: Attempt) -> set[tuple[str, datetime]]:
    """(device, hour) of days of the ledger that it has written, as far as readings can give them again."""
    if run.ledger is None:
        return set()
    stretches = run.by_source(attempt.begin, attempt.end, of_readings=True)
    days = ledger_written_at(run.db, run.plan.datatype.name, attempt.begin, attempt.end, attempt.devices, attempt.as_of)
    return {
        (device, hour)
        for _, begin, end in stretches
        for device, day in days
        for hour in starts(max(begin, day), min(end, day + DAY), HOUR)
    }
