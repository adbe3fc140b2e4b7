"""Evaluating a correction of energy from what was counted.

What belongs here: which quarter-hours each kind is given. What does not: what it makes of them
(`greenpower.measure.adjustment`), when it is done (`greenpower.rollups.adjustments`) and used (`apply`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo

from greenpower.measure.adjustment.estimate import Estimate, EstimateMethod
from greenpower.measure.adjustment.fixed import ExchangeSide, decided_energy, fixed_energy, new_meter, old_meter
from greenpower.measure.adjustment.quarters import Adjustment
from greenpower.measure.adjustment.weekdays import REFERENCE, Span
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import floor
from greenpower.mongo.adjustments.base_energy import BaseEnergy
from greenpower.mongo.corrections.document import CorrectionDocument, CorrectionKind

# Such corrections put other numbers in the place of what was counted, which then is no example for other times.
REPLACING = frozenset({CorrectionKind.FIXED, CorrectionKind.ESTIMATE})
LONGEST_SPAN = timedelta(days=400)


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """Evaluates corrections of one counter. others: those in force. zones: of devices that have one of their own; zone:
    of the others. stale_after: seconds without a sample that are a silence."""

    base: BaseEnergy
    others: Iterable[CorrectionDocument]
    zones: Mapping[str, tzinfo]
    zone: tzinfo
    stale_after: float

    def of(self, correction: CorrectionDocument) -> Adjustment:
        """What a correction does. Raises PyMongoError."""
        device, begin, end = correction["device_id"], correction["begin"], correction["end"]
        kind = CorrectionKind(correction["kind"])
        if kind is CorrectionKind.FIXED:
            assert end is not None
            return fixed_energy(begin, end, correction["energy"], self.base.slots(device, begin, end))
        if kind is CorrectionKind.ESTIMATE:
            return self._estimate(correction)
        if kind is CorrectionKind.INCIDENT:
            return decided_energy(begin, correction["energy"])
        around = self.base.slot_before(device, begin), self.base.slot_from(device, begin)
        meter = old_meter if correction["side"] == ExchangeSide.OLD else new_meter
        return meter(begin, correction["register"], *around)

    def _estimate(self, correction: CorrectionDocument) -> Adjustment:
        device, begin, base = correction["device_id"], correction["begin"], self.base
        end = correction["end"] or begin + LONGEST_SPAN
        estimate = Estimate(
            begin=begin,
            end=end,
            method=EstimateMethod(correction["method"]),
            energy=correction.get("energy"),
            zone=self.zones.get(device, self.zone),
            stale_after=self.stale_after,
        )
        before = base.slot_before(device, begin)
        since = begin
        if estimate.method is EstimateMethod.WEEKDAYS and before is not None and before.last_at is not None:
            since = floor(min(begin, before.last_at) - REFERENCE, QUARTER_SECONDS)
            before = base.slot_before(device, since)
        slots = base.slots(device, since, end)
        after = base.slot_from(device, end)
        if after is not None and (not slots or after.start > slots[-1].start):
            slots.append(after)
        return estimate.evaluate(
            slots, None if before is None else before.last_at, base.until, self._left_out(correction)
        )

    def _left_out(self, correction: CorrectionDocument) -> list[Span]:
        """The spans of other corrections of the same counter that put other numbers there."""
        return [
            (other["begin"], other["end"] or datetime.max.replace(tzinfo=other["begin"].tzinfo))
            for other in self.others
            if other["device_id"] == correction["device_id"]
            and other["_id"] != correction["_id"]
            and other["kind"] in REPLACING
        ]
