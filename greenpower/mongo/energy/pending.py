"""Pending hours: what of a device's energy the rollups have still to compute again.

What belongs here: which hours of which devices have an invalidation that the interval ledger has not seen yet, and the
spans in which readings are still being stored or computed. What does not: setting and removing either
(`greenpower.mongo.rollups.invalidations`, `unfinished`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from pymongo.collection import Collection

from greenpower.catalog.facts import ledger_tier
from greenpower.datatype import DataType
from greenpower.mongo.client import Document
from greenpower.mongo.rollups.unfinished import Unfinished, is_unfinished
from greenpower.mongo.schema.layout import INTERVALS

HOUR = timedelta(hours=1)
Span = tuple[datetime, datetime]
# With more than these an answer calls everything pending: a backlog is on its way through the tiers.
MAX_PENDING_HOURS = 20_000
DOCUMENTS_PER_BATCH = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class PendingHours:
    """Hours that will be computed again, in order, by device. all: they are too many to look at, so any hour may be.
    unfinished: spans in which work is under way."""

    by_device: Mapping[str, Sequence[datetime]] = field(default_factory=dict)
    all: bool = False
    unfinished: Sequence[Unfinished] = ()

    def of(self, device: str) -> Sequence[datetime]:
        """The hours of a device."""
        return self.by_device.get(device, ())

    def spans_of(self, device: str) -> Sequence[Span]:
        """All that is pending of a device, as spans in order that do not touch each other."""
        hours = self.by_device.get(device, ())
        if not hours and not self.unfinished:
            return ()
        spans = [(hour, hour + HOUR) for hour in hours]
        spans += [(item.begin, item.end) for item in self.unfinished if item.concerns(device)]
        found: list[Span] = []
        for begin, end in sorted(spans):
            if found and begin <= found[-1][1]:
                found[-1] = (found[-1][0], max(found[-1][1], end))
            else:
                found.append((begin, end))
        return found


def ledger_prefixes(datatype: DataType) -> list[str]:
    """The prefixes of the invalidations that the interval ledger has not seen yet; none where the type has none."""
    tier = ledger_tier(datatype)
    if tier is None:
        return []
    prefixes = [INTERVALS]
    for other in datatype.tiers:
        prefixes.append(other.prefix)
        if other is tier:
            break
    return prefixes


def read_pending(
    collection: Collection[Document],
    type_name: str,
    prefixes: Iterable[str],
    devices: Sequence[str],
    begin: datetime,
    end: datetime,
) -> PendingHours:
    """The pending hours that overlap `[begin, end)`. prefixes: of the tiers that count. Raises PyMongoError."""
    # Their `_id` is type/prefix/hour/device: a range of it costs what lies in it, however many there are in all.
    ranges = [
        {"_id": {"$gte": f"{type_name}/{prefix}/{_hour(begin)}", "$lt": f"{type_name}/{prefix}/{_hour(end)}~"}}
        for prefix in prefixes
    ]
    if not ranges or not devices:
        return PendingHours()
    of_devices: Document = {"$or": ranges, "device_id": {"$in": list(devices)}}
    query: Document = {"$or": [of_devices, {"_id": is_unfinished(type_name)}]}
    shown = {"count": 0, "since": 0}
    found: dict[str, set[datetime]] = {}
    unfinished: list[Unfinished] = []
    cursor = collection.find(query, shown, limit=MAX_PENDING_HOURS + 1, batch_size=DOCUMENTS_PER_BATCH)
    count = 0
    for document in cursor:
        if "work" in document:
            item = Unfinished.read(document)
            if item.begin < end and begin < item.end:
                unfinished.append(item)
            continue
        count += 1
        if begin - HOUR < document["hour"] < end:
            found.setdefault(document["device_id"], set()).add(document["hour"])
    if count > MAX_PENDING_HOURS:
        return PendingHours(all=True)
    by_device = {device: sorted(hours) for device, hours in found.items()}
    return PendingHours(by_device=by_device, unfinished=unfinished)


def _hour(time: datetime) -> str:
    return f"{time:%Y-%m-%dT%H}"
