"""Boundaries of `consumption/` at which no register could be read. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, timedelta

from greenpower.datatype.tier import resolution_text
from greenpower.measure.slot import QUARTER_SECONDS
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.energy.stretch import DeviceEnergy
from greenpower.mongo.rollups.watermarks import EPOCH

QUARTER = timedelta(seconds=QUARTER_SECONDS)


def nearest_quarter(boundary: datetime) -> datetime:
    """The quarter-hour next to a boundary; in the middle the later one."""
    return floor(boundary + QUARTER / 2, QUARTER_SECONDS)


def moved_boundaries(
    found: Mapping[str, DeviceEnergy],
    boundaries: Sequence[datetime],
    known_from: datetime,
    tolerance: timedelta,
    now: datetime,
) -> list[Document]:
    """What moved, in order: for all devices (`device_id` is None) before what moved for one.

    For all: a boundary that is not on a quarter-hour, or lies before anything that is left (`known_from`; `EPOCH` where
    nothing was ever taken away). For one: only coarse buckets are left of that time, or it was silent for longer than
    `tolerance`.
    """
    moved = []
    for boundary in boundaries:
        quarter = nearest_quarter(boundary)
        if boundary < known_from != EPOCH:
            moved.append(_moved(boundary, None))
        elif quarter != boundary:
            moved.append(_moved(boundary, quarter, resolution=resolution_text(QUARTER_SECONDS)))
    for device, energy in found.items():
        moved += _of_device(device, energy, boundaries, tolerance, now)
    return moved


def _of_device(
    device: str, energy: DeviceEnergy, boundaries: Sequence[datetime], tolerance: timedelta, now: datetime
) -> Iterator[Document]:
    register = None if energy.before is None else energy.before.at
    resolutions = [stretch.resolution for stretch in energy.stretches]
    resolutions = [*resolutions[:1], *resolutions, *resolutions[-1:]]
    for number, boundary in enumerate(boundaries):
        coarse = [resolution for resolution in resolutions[number : number + 2] if resolution is not None]
        if len(coarse) == 2 and floor(boundary, min(coarse)) != boundary:
            yield _moved(boundary, floor(boundary, min(coarse)), device, resolution_text(min(coarse)))
        elif register is not None and boundary <= now and boundary - register > tolerance:
            yield _moved(boundary, register, device)
        if number < len(energy.stretches):
            register = energy.stretches[number].last_at or register


def _moved(
    boundary: datetime, to: datetime | None, device: str | None = None, resolution: str | None = None
) -> Document:
    return {"boundary": boundary, "to": to, "device_id": device, "resolution": resolution}
