"""The plan of a question to the interval ledger: which documents it reads, and which of their slots. Pure.

```
boundaries        │18:15                         │18:15
UTC days     ─────┼──┬─────────┬── … ──┬─────────┼──┬─────
energy_intervals  │▒▒│                 │▒▒▒▒▒▒▒▒▒│           quarter-hours of days that a boundary cuts
energy_days          │▒▒▒▒▒▒▒▒▒ … ▒▒▒▒▒│                     days that are whole, by month
```
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise

from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.mongo.energy.ledger_part import DAY, QUARTER, day_of, month_of


@dataclass(frozen=True, slots=True)
class SlotRange:
    """The slots `[begin, end)` of a document, which belong to a stretch, by its number."""

    stretch: int
    begin: int
    end: int


@dataclass(frozen=True, slots=True)
class LedgerPlan:
    """What to read of each counter. days: from `energy_intervals`. months: from `energy_days`. In order of time."""

    days: Mapping[datetime, Sequence[SlotRange]]
    months: Mapping[datetime, Sequence[SlotRange]]


def plan_documents(boundaries: Sequence[datetime]) -> LedgerPlan:
    """The plan for the stretches between boundaries: aware, ascending, on quarter-hours. Every whole day before the
    last one is closed. Raises ValueError where a boundary is on no quarter-hour.
    """
    days: defaultdict[datetime, list[SlotRange]] = defaultdict(list)
    months: defaultdict[datetime, list[SlotRange]] = defaultdict(list)
    for boundary in boundaries:
        if boundary.timestamp() % QUARTER_SECONDS:
            raise ValueError(f"{boundary} is no boundary of quarter-hours")
    for stretch, (begin, end) in enumerate(pairwise([boundary.astimezone(UTC) for boundary in boundaries])):
        here = begin
        while here < end:
            day = day_of(here)
            after = day + DAY
            if here == day and after <= end:
                # As many whole days of this month as there are.
                last = min(day_of(end), _next_month(day))
                first = day.day - 1
                months[month_of(day)].append(SlotRange(stretch, first, first + (last - day) // DAY))
                here = last
            else:
                last = min(end, after)
                days[day].append(SlotRange(stretch, (here - day) // QUARTER, (last - day) // QUARTER))
                here = last
    return LedgerPlan(days, months)


def documents_needed(boundaries: Sequence[datetime], devices: int) -> int:
    """How many documents `read_stretches` reads at most for so many devices. Raises ValueError as `plan_documents`."""
    plan = plan_documents(boundaries)
    return (len(plan.days) + len(plan.months)) * devices


def _next_month(day: datetime) -> datetime:
    year, month = (day.year + 1, 1) if day.month == 12 else (day.year, day.month + 1)
    return month_of(day).replace(year=year, month=month)
