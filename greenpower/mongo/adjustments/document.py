"""The shape of an evaluated correction of energy, and packing its quarter-hours.

What belongs here: every key, its unit and its writer. What does not: what a correction does
(`greenpower.measure.adjustment`), the correction that a person made (`greenpower.mongo.corrections`).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from struct import Struct
from typing import Any, TypedDict

from bson import ObjectId

from greenpower.measure.adjustment.quarters import Adjustment


class AdjustmentDocument(TypedDict):
    """What a correction of energy does, in `energy_adjustments`. _id: of the correction. Written by the worker.
    Where it is missing it is made again from the ledger, so it is in no backup.

    stale: a token that is there from when the ledger changes what it depends on until it is evaluated again; other each
    time. needs_begin, needs_end: it depends on the samples of that time. ended: False where it stands for a silence
    that goes on. quarters: numbers of quarter-hours since 1970, uint32, ascending. energy: counts to add to each,
    int64. silence: seconds to add, int32. All are packed little-endian. as_of: taken before the ledger was read.
    """

    _id: ObjectId
    type: str
    device_id: str
    field: str
    stale: ObjectId | None
    needs_begin: datetime
    needs_end: datetime
    ended: bool
    quarters: bytes
    energy: bytes
    silence: bytes
    as_of: datetime
    updated_at: datetime


def pack(adjustment: Adjustment) -> dict[str, Any]:
    """The keys of a document that say what an adjustment does."""
    numbers = sorted(adjustment.energy)
    count = len(numbers)
    return {
        "needs_begin": adjustment.needs_begin,
        "needs_end": adjustment.needs_end,
        "ended": adjustment.ended,
        "quarters": Struct(f"<{count}I").pack(*numbers),
        "energy": Struct(f"<{count}q").pack(*(adjustment.energy[number] for number in numbers)),
        "silence": Struct(f"<{count}i").pack(*(adjustment.silence.get(number, 0) for number in numbers)),
    }


def unpack(document: Mapping[str, Any]) -> Adjustment:
    """What a document says that an adjustment does."""
    count = len(document["quarters"]) // 4
    numbers = Struct(f"<{count}I").unpack(document["quarters"])
    silence = Struct(f"<{count}i").unpack(document["silence"])
    return Adjustment(
        energy=dict(zip(numbers, Struct(f"<{count}q").unpack(document["energy"]), strict=True)),
        silence={number: seconds for number, seconds in zip(numbers, silence, strict=True) if seconds},
        needs_begin=document["needs_begin"],
        needs_end=document["needs_end"],
        ended=document["ended"],
    )
