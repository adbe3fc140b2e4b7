"""What is known of devices before a stretch, and what rolling their readings up needs besides them.

What belongs here: the context of a roll, the readings in a stretch, and what is read before it, for many devices at
once. What does not: reading more where a counter needs it (`greenpower.mongo.energy.device_rolling`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pymongo.collection import Collection
from pymongo.database import Database

from greenpower.datatype import DataType
from greenpower.measure.correction import SampleCorrections
from greenpower.measure.counter.hold import Carry
from greenpower.measure.hold_limit import USUAL_GAPS
from greenpower.measure.spec import Spec
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.samples import corrected, corrected_by_device
from greenpower.mongo.devices.zones import DeviceZones
from greenpower.mongo.energy.carries import registers_before
from greenpower.mongo.energy.leads import Leads, leads_of_buckets
from greenpower.mongo.rollups.incidents import OperatorDecisions
from greenpower.mongo.rollups.source import any_before, newest_before
from greenpower.mongo.rollups.stretch_readings import StretchReadings

NO_NAMES: frozenset[str] = frozenset()
READINGS_BEFORE = 4
BUCKETS_BEFORE = 2


def accept_none(device: str, names: Iterable[str]) -> frozenset[str]:
    """Roll up no undeclared field."""
    return NO_NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class RollContext:
    """What rolling up a type's readings needs besides them.

    tier: the collection of the buckets that are made or stand for them. corrections: of samples. accept: which
    undeclared fields of a device are rolled up, given those that were found and are not yet.
    """

    db: Database[Document]
    datatype: DataType
    tier: Collection[Document]
    spec: Spec
    decisions: OperatorDecisions
    settled_before: datetime
    powers: Mapping[str, float] = field(default_factory=dict)
    zones: DeviceZones = field(default_factory=DeviceZones)
    corrections: SampleCorrections = field(default_factory=dict)
    accept: Callable[[str, Iterable[str]], frozenset[str]] = accept_none


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """What is known of a device before a stretch.

    readings: the newest, in order of time; fewer than `READINGS_BEFORE` are all there are. buckets: the newest of the
    tier, in order. registers: where there is no reading, by counter. leads: what holds when the stretch begins, but for
    what the readings say; None where nobody needs it.
    """

    readings: Sequence[Document] = ()
    buckets: Sequence[Document] = ()
    registers: Mapping[str, Carry] = field(default_factory=dict)
    leads: Leads | None = None


NOTHING_BEFORE = Before()


def read_inside(
    context: RollContext,
    source: Collection[Document],
    begin: datetime,
    end: datetime,
    devices: Sequence[str] | None,
    projection: dict[str, Any],
) -> dict[str, Sequence[Document]]:
    """The readings of `[begin, end)` by device, in order of time, as they are corrected. devices: None for all. Raises
    PyMongoError."""
    readings = StretchReadings.find(source, begin, end, devices, projection)
    return corrected_by_device(readings, context.corrections)


def look_before(
    context: RollContext, source: Collection[Document], devices: Sequence[str], begin: datetime, *, held: bool = False
) -> dict[str, Before]:
    """What is known of devices before `begin`; those of which nothing is are left out. held: what holds then, too, for
    means over time. Raises PyMongoError."""
    found: dict[str, Before] = {}
    if not (held or context.spec.counters) or not devices:
        return found
    limit, most_buckets = (READINGS_BEFORE, BUCKETS_BEFORE) if context.spec.counters else (1, 0)
    if any_before(source, begin):
        most_times = limit + USUAL_GAPS if held else 0
        rows = newest_before(source, context.tier, devices, begin, limit, most_buckets, most_times)
        found = {
            device: Before(
                readings=corrected(readings, device, context.corrections),
                buckets=buckets,
                leads=Leads(times=times) if held else None,
            )
            for device, readings, buckets, times in rows
            if readings
        }
    gone = [device for device in devices if device not in found]
    if gone:
        carries, leads = {}, {}
        if context.spec.counters:
            carries = registers_before(context.db, context.datatype, gone, begin, sorted(context.spec.counters))
        if held:
            leads = leads_of_buckets(context.tier, gone, begin)
        for device in carries.keys() | leads.keys():
            found[device] = Before(registers=carries.get(device, {}), leads=leads.get(device))
    return found
