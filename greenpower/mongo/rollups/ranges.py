"""Device ranges: the 16 parts of a type's devices whose rollups move on by themselves.

A device's range is told by its id alone and never changes: documents name ranges. What belongs here: which range a
device is in, and how ranges are written. What does not: how far a range is (`watermarks`), which ranges a run takes
(`greenpower.rollups.range_groups`).
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

DEVICE_RANGES = 16

Ranges = frozenset[int]
ALL_RANGES: Ranges = frozenset(range(DEVICE_RANGES))


def range_of(device: str) -> int:
    """The range of a device, 0 to 15: the first hexadecimal digit of the SHA-256 of its id in UTF-8.

    A CRC, which is faster, spreads ids that differ in a few digits unevenly.
    """
    return sha256(device.encode()).digest()[0] >> 4


def range_key(number: int) -> str:
    """The key of a range in documents: its hexadecimal digit."""
    return f"{number:x}"


def keys_of(ranges: Ranges) -> list[str]:
    """The keys of some ranges, in order."""
    return [range_key(number) for number in sorted(ranges)]


def name_ranges(ranges: Ranges) -> str:
    """Ranges as people read them: `0-3, 7, a-b`."""
    spans: list[list[int]] = []
    for number in sorted(ranges):
        if spans and number == spans[-1][1] + 1:
            spans[-1][1] = number
        else:
            spans.append([number, number])
    return ", ".join(f"{a:x}" if a == b else f"{a:x}-{b:x}" for a, b in spans)


def devices_in(devices: Iterable[str], ranges: Ranges) -> list[str]:
    """Those devices that are in some ranges, in the same order."""
    if ranges == ALL_RANGES:
        return list(devices)
    return [device for device in devices if range_of(device) in ranges]
