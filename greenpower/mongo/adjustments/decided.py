"""The flag OPEN of quarter-hours whose incidents were decided after their readings had expired.

The ledger still has the flag there. So of a stretch that such a decision touches, each quarter-hour is looked at.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise

from greenpower.measure.adjustment.quarters import quarter_of, start_of_quarter
from greenpower.measure.slot import OPEN
from greenpower.mongo.adjustments.base_energy import BaseEnergy
from greenpower.mongo.corrections.document import CorrectionDocument, CorrectionKind
from greenpower.mongo.energy.stretch import DeviceEnergy
from greenpower.mongo.rollups.incidents import OPEN as UNDECIDED
from greenpower.mongo.schema.layout import INCIDENTS


def close_decided(
    base: BaseEnergy,
    found: Mapping[str, DeviceEnergy],
    boundaries: Sequence[datetime],
    corrections: Sequence[CorrectionDocument],
) -> None:
    """Take the flag OPEN from stretches in which nothing is to be decided any more. Raises PyMongoError."""
    decided: defaultdict[str, set[int]] = defaultdict(set)
    for item in corrections:
        if item["kind"] == CorrectionKind.INCIDENT:
            decided[item["device_id"]].add(quarter_of(item["begin"]))
    for device, quarters in decided.items():
        undecided: set[int] | None = None
        for stretch, (begin, end) in zip(found[device].stretches, pairwise(boundaries), strict=True):
            inside = {number for number in quarters if begin <= start_of_quarter(number) < end}
            if not inside or not stretch.flags & OPEN:
                continue
            if undecided is None:
                undecided = {quarter_of(time) for time in _undecided(base, device)}
            flagged = {quarter_of(slot.start) for slot in base.slots(device, begin, end) if slot.flags & OPEN}
            if flagged <= inside and not flagged & undecided:
                stretch.flags &= ~OPEN


def _undecided(base: BaseEnergy, device: str) -> list[datetime]:
    """The times of a device's incidents that are still to be decided."""
    query = {
        "type": base.type_name,
        "device_id": device,
        "field": base.field,
        "status": UNDECIDED,
        "current": True,
    }
    return [item["at"] for item in base.db[INCIDENTS].find(query, {"_id": 0, "at": 1})]
