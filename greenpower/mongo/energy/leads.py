"""The values that hold when a stretch begins: of each field the sample before it, and how long that holds.

Most devices send all their fields with every reading, so the newest reading has them. Of those that do not, more
readings are looked through, of many devices at once. Where the readings are gone, the bucket before tells.

What does not belong here: registers and falls of counters (`carries`), how long a value may hold
(`greenpower.measure.hold_limit`).
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from pymongo.collection import Collection

from greenpower.measure.column import is_number
from greenpower.measure.correction import SampleCorrections
from greenpower.measure.hold_limit import USUAL_GAPS
from greenpower.measure.stored_block import read_blocks, read_timing
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected, corrected_neighbours
from greenpower.mongo.rollups.source import READING, any_before, newest_documents

# How many readings are looked through for a field that the newest ones do not have.
LEAD_STAGES = (64, 1_000)
HELD_STATE = {"_id": 0, "coverage": 1, "blocks": 1}


@dataclass(frozen=True, slots=True, kw_only=True)
class Leads:
    """What holds before a stretch. times: of the newest readings before it, in order and without a gap. samples: by
    field, a reading with nothing but it. holds: how long values hold, in seconds, by time, where the readings do not
    tell."""

    times: Sequence[datetime] = ()
    samples: Mapping[str, Document] = field(default_factory=dict)
    holds: Mapping[datetime, float] = field(default_factory=dict)


def find_leads(
    source: Collection[Document], wanted: Mapping[str, AnyOf[str]], begin: datetime, corrections: SampleCorrections
) -> dict[str, Leads]:
    """The samples before `begin` of some fields by device, as far as there are any, as they are corrected. Raises
    PyMongoError."""
    most = LEAD_STAGES[0] + USUAL_GAPS
    found: dict[str, Leads] = {}
    for device, readings in newest_documents(source, list(wanted), begin, most, READING):
        leads = _leads(corrected(readings, device, corrections), wanted[device], most)
        if len(readings) == most and (left := sorted(set(wanted[device]) - leads.samples.keys())):
            most_of_all = LEAD_STAGES[1] + USUAL_GAPS
            further = corrected_neighbours(
                source, device, begin, most_of_all, before=True, fields=left, corrections=corrections
            )
            more = _leads(further, left, most_of_all)
            leads = Leads(times=more.times, samples={**leads.samples, **more.samples})
        found[device] = leads
    return found


def _leads(readings: Sequence[Document], names: AnyOf[str], most: int) -> Leads:
    """The newest sample of each field. most: so many readings were asked for: of the first of those the usual gap is
    not known."""
    sure = readings[USUAL_GAPS:] if len(readings) == most else readings
    samples = {}
    for name in names:
        for reading in reversed(sure):
            if is_number(value := reading["payload"].get(name)):
                samples[name] = lead_reading(reading["timestamp"], {name: value})
                break
    return Leads(times=[reading["timestamp"] for reading in readings], samples=samples)


def lead_reading(time: datetime, payload: Document) -> Document:
    """A reading of which only some fields are known."""
    return {"timestamp": time, "payload": payload, "clock": None}


def leads_of_buckets(tier: Collection[Document], devices: Sequence[str], begin: datetime) -> dict[str, Leads]:
    """What held at the end of the newest bucket of each device before `begin`. Raises PyMongoError."""
    found: dict[str, Leads] = {}
    if not devices or not any_before(tier, begin):
        return found
    for device, buckets in newest_documents(tier, devices, begin, 1, HELD_STATE):
        for bucket in buckets:
            timing = read_timing(bucket["coverage"])
            if timing is None or timing.last_at >= begin:
                continue
            holds, samples = {timing.last_at: timing.hold}, {}
            for block, _ in read_blocks(bucket):
                holds[block.timing.last_at] = block.timing.hold
                for name, value in zip(block.names, block.columns.lasts, strict=True):
                    samples[name] = lead_reading(block.timing.last_at, {name: value})
            found[device] = Leads(times=[timing.last_at], samples=samples, holds=holds)
    return found
