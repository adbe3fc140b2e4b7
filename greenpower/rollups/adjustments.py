"""Evaluating corrections of energy, by the runs that write the interval ledger.

Whatever changes the ledger marks what depends on it (`greenpower.rollups.ledger`); here it is evaluated, with what
people have just made. Safe to stop anywhere: a mark is removed last. What does not belong here: what a correction does.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from zoneinfo import ZoneInfo

from bson import ObjectId
from pymongo.errors import AutoReconnect

from greenpower.mongo.adjustments.base_energy import BaseEnergy
from greenpower.mongo.adjustments.document import AdjustmentDocument
from greenpower.mongo.adjustments.evaluate import Evaluation
from greenpower.mongo.adjustments.store import (
    begin_adjustments,
    read_adjustments,
    read_stale,
    remove_revoked,
    save_adjustment,
)
from greenpower.mongo.corrections.document import OF_ENERGY, CorrectionDocument
from greenpower.mongo.corrections.store import read_active
from greenpower.mongo.devices.zones import read_zones
from greenpower.mongo.rollups.ranges import range_of
from greenpower.mongo.rollups.watermarks import take_as_of
from greenpower.mongo.schema.layout import ADJUSTMENTS, CORRECTIONS
from greenpower.rollups.tier_run import MayContinue, TierRun, always

log = logging.getLogger(__name__)


def evaluate_adjustments(run: TierRun, may_continue: MayContinue = always) -> None:
    """Evaluate the corrections that are new or stale. may_continue: asked between them; the rest is for the next run.

    One that fails stays stale and does not stop the others. Raises AutoReconnect where the database is away.
    """
    if run.ledger is None or run.ledger.until is None:
        return
    collection, name = run.db[ADJUSTMENTS], run.plan.datatype.name
    corrections = {item["_id"]: item for item in read_active(run.db[CORRECTIONS], type=name, kinds=OF_ENERGY)}
    remove_revoked(collection, name, corrections.keys())
    if not corrections:
        return
    known = read_adjustments(collection, list(corrections), {"_id": 1})
    begin_adjustments(collection, [item for key, item in corrections.items() if key not in known])
    by_field: defaultdict[str, list[AdjustmentDocument]] = defaultdict(list)
    for stale in read_stale(collection, name):
        if stale["_id"] in corrections and range_of(stale["device_id"]) in run.ranges:
            by_field[stale["field"]].append(stale)
    for field, several in by_field.items():
        evaluation = _evaluation(run, field, corrections)
        for kept in several:
            _evaluate(run, evaluation, corrections[kept["_id"]], kept)
            if not may_continue():
                return


def _evaluation(run: TierRun, field: str, corrections: dict[ObjectId, CorrectionDocument]) -> Evaluation:
    assert run.ledger is not None and run.ledger.until is not None
    datatype = run.plan.datatype
    others = [item for item in corrections.values() if item["field"] == field]
    return Evaluation(
        base=BaseEnergy(db=run.db, type_name=datatype.name, field=field, until=run.ledger.until),
        others=others,
        zones=read_zones(run.db, sorted({item["device_id"] for item in others})),
        zone=ZoneInfo(run.settings.device_timezone),
        stale_after=datatype.stale_after,
    )


def _evaluate(run: TierRun, evaluation: Evaluation, correction: CorrectionDocument, kept: AdjustmentDocument) -> None:
    try:
        as_of = take_as_of(run.watermarks)
        result = evaluation.of(correction)
        # If not the newest, it is stale again, and the next run evaluates it.
        save_adjustment(run.db[ADJUSTMENTS], kept, result, as_of, run.clock())
    except AutoReconnect:
        raise
    except Exception:
        log.exception("%s: correction %s could not be evaluated", run.plan.name, correction["_id"])
