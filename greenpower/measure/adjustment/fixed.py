"""Amounts that are given: energy of a span, energy of a decision, and what two meters counted at an exchange. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum

from greenpower.measure.adjustment.quarters import FIRST_TIME, LAST_TIME, Adjustment, quarter_of, start_of_quarter
from greenpower.measure.slot import Slot, to_counts
from greenpower.measure.state import Number


class ExchangeSide(StrEnum):
    """Of which device an exchange corrects the energy: of the OLD one, or of the NEW one."""

    OLD = "old"
    NEW = "new"


def fixed_energy(begin: datetime, end: datetime, energy: int, slots: Sequence[Slot]) -> Adjustment:
    """`energy` counts in `[begin, end)`, on quarter-hours, in place of what was counted there.

    Each quarter-hour gets the same, the first ones one count more until all is given. slots: those of the span.
    """
    adjustment = Adjustment(needs_begin=begin, needs_end=end)
    first, last = quarter_of(begin), quarter_of(end)
    each, more = divmod(energy, last - first)
    for quarter in range(first, last):
        adjustment.energy[quarter] = each + (quarter - first < more)
    for slot in slots:
        quarter = quarter_of(slot.start)
        if first <= quarter < last:
            adjustment.add(quarter, -slot.energy, -slot.silence_s)
    return adjustment


def decided_energy(at: datetime, energy: int) -> Adjustment:
    """`energy` counts in the quarter-hour of a sample."""
    return Adjustment(energy={quarter_of(at): energy}, needs_begin=at, needs_end=at)


def old_meter(at: datetime, register: Number, before: Slot | None, after: Slot | None) -> Adjustment:
    """What the old device counted up to its last register, at `at`, after its last sample before that.

    before: the slot of that sample; None: there is none, and nothing is added. after: the first slot with a sample from
    `at` on, which the swap counts it at already; None: there is none. Both may be the one that `at` lies in.
    """
    if before is None or before.last is None:
        return Adjustment(needs_begin=FIRST_TIME, needs_end=at)
    adjustment = Adjustment(needs_begin=before.start, needs_end=LAST_TIME)
    energy = to_counts(register) - to_counts(before.last)
    adjustment.add(quarter_of(at), energy)
    if after is not None:
        adjustment.add(quarter_of(after.start), -energy)
        adjustment.needs_end = start_of_quarter(quarter_of(after.start) + 1)
    return adjustment


def new_meter(at: datetime, register: Number, before: Slot | None, after: Slot | None) -> Adjustment:
    """What the new device counted from its first register, at `at`, to its first sample after that.

    before: a slot with a sample before `at`; with one the swap counts it, and nothing is added. after: the first slot
    with a sample from `at` on; None: there is none yet.
    """
    adjustment = Adjustment(needs_begin=FIRST_TIME, needs_end=LAST_TIME)
    if after is not None and after.last is not None:
        adjustment.needs_end = start_of_quarter(quarter_of(after.start) + 1)
        if before is None:
            # The very first sample counts nothing, so this is its register, whatever came after it in its slot.
            first = to_counts(after.last) - after.energy
            adjustment.add(quarter_of(after.start), first - to_counts(register))
    return adjustment
