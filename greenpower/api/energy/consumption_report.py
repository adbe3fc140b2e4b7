"""The answer of `consumption/`, made from the registers that were read at the boundaries of calendar buckets. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from greenpower.api.energy.calendar import Unit, label
from greenpower.mongo.client import Document
from greenpower.mongo.energy.consumption import COUNTS_PER_UNIT, Registered, RegisterReading
from greenpower.mongo.energy.interval_plan import PlanInterval


def make_report(
    found: dict[str, Registered], boundaries: Sequence[datetime], unit: Unit, zone: ZoneInfo, now: datetime
) -> dict[str, Any]:
    """The energy of each calendar bucket, of each device and in total. found: by device, a register per boundary."""
    buckets = list(pairwise(boundaries))
    names = [label(start, unit, zone) for start, _ in buckets]
    devices, sums = [], [[0, 0, 1] for _ in buckets]
    for device, registered in found.items():
        rows, total = [], 0
        for number, (start, end) in enumerate(buckets):
            before, after = registered.readings[number : number + 2]
            counted, samples = _energy(before, after)
            final = end <= now and (registered.open_from is None or end <= registered.open_from)
            rows.append(
                {
                    "bucket": names[number],
                    "energy": counted / COUNTS_PER_UNIT if samples else None,
                    "samples": samples,
                    "coverage": _coverage(before, after, start, min(end, now), samples),
                    "first": _register(before),
                    "last": _register(after),
                    "final": final,
                }
            )
            total += counted
            sums[number][0] += counted
            sums[number][1] += samples
            sums[number][2] &= final
        devices.append({"device_id": device, "total": total / COUNTS_PER_UNIT, "results": rows})
    results = [
        {
            "bucket": name,
            "start": start.astimezone(zone).isoformat(),
            "end": end.astimezone(zone).isoformat(),
            "energy": counted / COUNTS_PER_UNIT if samples else None,
            "samples": samples,
            "final": bool(final) and end <= now,
        }
        for name, (start, end), (counted, samples, final) in zip(names, buckets, sums, strict=True)
    ]
    total = sum(counted for counted, _, _ in sums)
    return {
        "bucket": unit.value,
        "tz": zone.key,
        "total": total / COUNTS_PER_UNIT,
        "results": results,
        "devices": devices,
    }


def moved_boundaries(
    cells: Sequence[PlanInterval], found: dict[str, Registered], tolerance: timedelta, now: datetime
) -> list[Document]:
    """The boundaries at which no register could be read: for all devices, or for one that was silent for longer than
    `tolerance`."""
    boundaries = [boundary for cell in cells for boundary in cell.boundaries]
    moved: list[Document] = [
        {"boundary": boundary.asked, "to": boundary.at, "device_id": None, "resolution": boundary.source or None}
        for boundary in boundaries
        if boundary.at is None or boundary.source
    ]
    for device, registered in found.items():
        for boundary, reading in zip(boundaries, registered.readings, strict=True):
            if reading is None or boundary.at is None or boundary.asked > now:
                continue
            if boundary.at - reading.at > tolerance:
                moved.append({"boundary": boundary.asked, "to": reading.at, "device_id": device, "resolution": None})
    return moved


def _energy(before: RegisterReading | None, after: RegisterReading | None) -> tuple[int, int]:
    """What was counted between two boundaries, in millionths, and by how many samples."""
    if after is None:
        return 0, 0
    if before is None:
        return after.counted, after.samples
    return after.counted - before.counted, after.samples - before.samples


def _register(reading: RegisterReading | None) -> Document | None:
    return None if reading is None else {"at": reading.at, "value": reading.value}


def _coverage(
    before: RegisterReading | None, after: RegisterReading | None, start: datetime, end: datetime, samples: int
) -> float:
    """The part of a bucket, as far as it has passed, that lies between registers that were read."""
    if after is None or not samples or end <= start:
        return 0.0
    since = start if before is not None else max(start, min(end, after.at))
    return round(max(timedelta(), min(end, after.at) - since) / (end - start), 4)
