"""Frames of all data types that come over MQTT, mixed as sites mix them, and what they must become."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType
from greenpower.simulator.device import Packet, frames, make_devices
from greenpower.simulator.fleet import can_simulate

ZONE = ZoneInfo("Asia/Dhaka")
DEVICES = 200
SPACING = timedelta(seconds=30)
#: share of the readings; the rest is the first type's. A station without a stamp sends seldom, or two would share one
WEIGHTS = {"eny_now": 0.25, "generator": 0.05, "environment": 0.002}


def _stream(datatype: DataType, began: datetime) -> Iterator[list[Packet]]:
    """Reading after reading, of each device in turn, forward in time."""
    devices = make_devices(datatype, DEVICES, 1, ZONE)
    at = began
    while True:
        for number, device in enumerate(devices):
            # Two samples of one millisecond on one topic could not be told apart where only one part has the id.
            yield frames(device, at + timedelta(milliseconds=number))
        at += SPACING


def make_mix(count: int) -> tuple[list[Packet], dict[str, int]]:
    """About `count` packets, and how many readings each collection must hold after them."""
    types = {
        datatype.name: datatype
        for datatype in get_registry()
        if datatype.tiers and datatype.topics and not can_simulate(datatype, ZONE)
    }
    began = datetime.now(UTC).replace(microsecond=0) - SPACING * (count // DEVICES + 2)
    streams = {name: _stream(datatype, began) for name, datatype in types.items()}
    rest = next(name for name in types if name not in WEIGHTS)
    owed = dict.fromkeys(types, 0.0)
    packets: list[Packet] = []
    readings: Counter[str] = Counter()
    while len(packets) < count:
        for name in types:
            owed[name] += WEIGHTS.get(name, 0)
        name = next((name for name in types if owed[name] >= 1), rest)
        owed[name] -= name != rest
        packets += next(streams[name])
        readings[types[name].collection] += 1
    return packets, dict(readings)
