"""What a meter exchange at a time would be: the registers next to it, and what it would change in the energy counted.

What belongs here: looking, for a form to be filled in. What does not: keeping an exchange
(`greenpower.mongo.rollups.exchanges`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.catalog.facts import registers
from greenpower.datatype import DataType
from greenpower.measure.correction import SampleCorrections
from greenpower.measure.counter.rules import OperatorDecision, Swap
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected_neighbours, read_sample_corrections
from greenpower.mongo.energy.recent import RecentEnergy
from greenpower.mongo.energy.stretch import RegisterReading

# So many samples behind an exchange show what becomes of a register that fell there.
SAMPLES_BEHIND = 64
ONE_QUARTER = timedelta(seconds=QUARTER_SECONDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterProposal:
    """A counter at an exchange. before: the last register that the old device sent; after: the first of the new one;
    both as people have corrected them, since that is what an exchange is counted with.

    change: what the exchange adds to the energy counted, in counts, if nothing was counted between these two. What the
    meters counted between, `last - before` and `after - first`, comes on top.
    """

    field: str
    before: RegisterReading | None
    after: RegisterReading | None
    change: int


def propose_registers(
    db: Database[Document], datatype: DataType, old: str, new: str, at: datetime, now: datetime, *, zone: tzinfo
) -> Iterator[RegisterProposal]:
    """The counters of a type that either device has sent. old, new: ids on the wire, the same where the new meter sends
    the id of the old one. zone: of devices without one of their own. Raises PyMongoError."""
    readings, corrections = db[datatype.collection], read_sample_corrections(db, datatype.name, {old, new})
    for field in registers(datatype):
        before = _nearest(readings, old, field, at, 1, corrections, before=True)
        after = _nearest(readings, new, field, at, SAMPLES_BEHIND, corrections, before=False)
        if not before and not after:
            continue
        ends = {old: after[-1].at if after and old == new else at, new: after[-1].at if after else at}
        begin = before[0].at if before else at
        change = sum(
            _change(db, datatype, field, device, at, (begin if device == old else at, end), now, zone)
            for device, end in ends.items()
        )
        yield RegisterProposal(
            field=field, before=before[0] if before else None, after=after[0] if after else None, change=change
        )


def sent_counters(db: Database[Document], datatype: DataType, old: str, new: str, at: datetime) -> list[str]:
    """The counters that the old device sent before a time, or the new one from then on. Raises PyMongoError."""
    readings, corrections = db[datatype.collection], read_sample_corrections(db, datatype.name, {old, new})
    return [
        field
        for field in registers(datatype)
        if _nearest(readings, old, field, at, 1, corrections, before=True)
        or _nearest(readings, new, field, at, 1, corrections, before=False)
    ]


def _nearest(
    readings: Collection[Document],
    device: str,
    field: str,
    at: datetime,
    limit: int,
    corrections: SampleCorrections,
    *,
    before: bool,
) -> list[RegisterReading]:
    found = corrected_neighbours(
        readings, device, at, limit, before=before, fields=(field,), having=field, corrections=corrections
    )
    return [RegisterReading(value=one["payload"][field], at=one["timestamp"]) for one in found]


def _change(
    db: Database[Document],
    datatype: DataType,
    field: str,
    device: str,
    at: datetime,
    around: tuple[datetime, datetime],
    now: datetime,
    zone: tzinfo,
) -> int:
    """What is counted more around a time, in counts, if the meter is another one from then on."""
    begin, end = floor(around[0], QUARTER_SECONDS), floor(around[1], QUARTER_SECONDS) + ONE_QUARTER
    recent = RecentEnergy.open(db, datatype, field, datatype.collection, now, [device], zone=zone)
    decided = recent.context.decisions.get(device, {}).get(field, OperatorDecision())
    others = tuple(swap for swap in decided.swaps if swap.at != at)
    counted = []
    for swaps in (others, (*others, Swap(at=at, last=None, first=None))):
        decisions = {device: {field: replace(decided, swaps=swaps)}}
        asked = replace(recent, context=replace(recent.context, decisions=decisions))
        found = asked.alone([device], begin, end).get(device)
        counted.append(0 if found is None else sum(slot.energy for slot in found.slots if slot.start >= begin))
    return counted[1] - counted[0]
