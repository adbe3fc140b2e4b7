"""The shapes of the interval ledger: quarter-hours of a day, and days of a month.

What belongs here: every key, its unit and its writer. What does not: packing the columns
(`greenpower.mongo.energy.slot_columns`), reading and writing the documents, in the modules beside this one.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypedDict

from bson import ObjectId


class SlotsDocument(TypedDict):
    """Columns of slots, one number per slot, packed little-endian. A slot is a quarter-hour, or a day of a month. Empty
    slots at the end are left out.

    energy: counts, int64. n: accepted samples, uint32. silence: seconds, uint32. flags: uint8. last: the register of
    the last accepted sample, float64. last_at: its time, uint32, in milliseconds since the start of the day. last and
    last_at say something only where n is not 0.
    """

    energy: bytes
    n: bytes
    silence: bytes
    flags: bytes
    last: bytes
    last_at: bytes


class HoldDocument(TypedDict):
    """An open fall of a counter, as `greenpower.measure.counter.hold` stores it."""

    level: int | float
    at: datetime
    since: datetime
    typical: int | float
    near: bool
    pending: int | float | list[int | float]
    steps: int
    unit: bool
    landed: int | float


class SlotHoldDocument(TypedDict):
    """The fall that is open after the last accepted sample of a slot."""

    slot: int
    hold: HoldDocument


class IntervalDocument(TypedDict):
    """One counter of a device on one UTC day, in `energy_intervals`; unique on (type, device_id, field, day). Written
    by the worker, kept for ever.

    slots: 96 quarter-hours. total: counts of all of them. samples: accepted samples. last, last_at: the last accepted
    sample of the day; None where there is none. holds: open falls, at the ends of the windows that were computed.
    resolution: None where every quarter is exact; else the seconds of the coarsest buckets that one was made from.
    as_of: of the run.
    """

    _id: ObjectId
    type: str
    device_id: str
    field: str
    day: datetime
    slots: SlotsDocument
    total: int
    samples: int
    last: float | None
    last_at: datetime | None
    holds: list[SlotHoldDocument]
    resolution: int | None
    as_of: datetime
    updated_at: datetime


class MonthDocument(TypedDict):
    """One counter of a device in one UTC month, in `energy_days`; unique on (type, device_id, field, month). Written
    by the worker for days that are over, kept for ever.

    slots: 31 days. first_quarters: of each day, which quarter-hour has its first accepted sample, uint8; 255 for none.
    as_of: of the writing, later with each. The other keys are as in the documents of its days.
    """

    _id: ObjectId
    type: str
    device_id: str
    field: str
    month: datetime
    slots: SlotsDocument
    first_quarters: bytes
    total: int
    samples: int
    last: float | None
    last_at: datetime | None
    resolution: int | None
    as_of: datetime
    updated_at: datetime
