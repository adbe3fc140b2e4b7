"""Day totals: what a counter counted on one UTC day, and putting it into the document of its month. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from greenpower.measure.slot import ESTIMATED
from greenpower.mongo.client import Document
from greenpower.mongo.energy.ledger_part import LedgerDay
from greenpower.mongo.energy.slot_columns import (
    SLOTS_PER_DAY,
    SLOTS_PER_MONTH,
    SlotColumns,
    SlotSum,
    register_of,
    sum_packed,
)

# In place of a quarter-hour, for a day without an accepted sample.
NO_QUARTER = 255


@dataclass(frozen=True, slots=True)
class DayTotal:
    """A day's slots together. resolution: as in its document."""

    slots: SlotSum
    resolution: int | None

    @classmethod
    def of(cls, day: LedgerDay) -> DayTotal | None:
        """The total of a day; None where nothing is in it."""
        return None if day.columns.is_empty else cls(day.columns.sum(), day.resolution)

    @classmethod
    def of_document(cls, document: Mapping[str, Any] | None) -> DayTotal | None:
        """The same of the document of a day."""
        # Empty slots at its end are left out.
        if document is None or not document["slots"]["flags"]:
            return None
        return cls(sum_packed(document["slots"], 0, SLOTS_PER_DAY), document["resolution"])

    def is_same(self, other: DayTotal | None) -> bool:
        """Whether another total says the same. Deltas have no register: theirs is NaN, which is equal to nothing."""
        if other is None or self.resolution != other.resolution:
            return False
        mine, theirs = (total.slots._replace(last=0.0) for total in (self, other))
        return mine == theirs and register_of(self.slots) == register_of(other.slots)


def put_days(
    document: Document | None, month: datetime, totals: Mapping[datetime, DayTotal | None], now: datetime
) -> Document | None:
    """A month's document with the totals of some of its days; None where nothing is left in it."""
    if document is None:
        columns = SlotColumns.empty(SLOTS_PER_MONTH)
        quarters, resolution = bytearray([NO_QUARTER] * SLOTS_PER_MONTH), 0
    else:
        columns, quarters = (
            SlotColumns.unpack(document["slots"], SLOTS_PER_MONTH),
            bytearray(document["first_quarters"]),
        )
        resolution = document["resolution"] or 0
    for day, total in totals.items():
        slot = day.day - 1
        columns.clear(slot, slot + 1)
        quarters[slot] = NO_QUARTER
        if total is not None:
            of_day = total.slots
            columns.put(
                slot,
                energy=of_day.energy,
                n=of_day.n,
                silence=of_day.silence,
                flags=of_day.flags,
                last=of_day.last,
                last_ms=of_day.last_ms,
            )
            quarters[slot] = of_day.first_slot if of_day.n else NO_QUARTER
            resolution = max(resolution, total.resolution or 0)
    if columns.is_empty:
        return None
    whole = columns.sum()
    last_day = month + timedelta(days=whole.last_slot)
    return {
        "slots": columns.pack(),
        "first_quarters": bytes(quarters),
        "total": whole.energy,
        "samples": whole.n,
        "last": register_of(whole),
        "last_at": last_day + timedelta(milliseconds=whole.last_ms) if whole.n else None,
        "resolution": resolution if resolution and whole.flags & ESTIMATED else None,
        "updated_at": now,
    }
