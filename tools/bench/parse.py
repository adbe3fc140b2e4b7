"""Bench (e): how many frames of each data type one core reads: the parser and the checks, no input or output.

The frames are those of simulated devices: whole ones and split ones, as the models send them.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from statistics import median
from zoneinfo import ZoneInfo

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType, Frame
from greenpower.datatype.check import Checker
from greenpower.simulator.device import frames, make_devices
from greenpower.simulator.fleet import can_simulate
from greenpower.simulator.gateway import make_gateways

ZONE = ZoneInfo("Asia/Dhaka")
DEVICES = 20
PASSES = 5
SECONDS = 0.2


def payloads(datatype: DataType) -> list[bytes]:
    """The payloads of some readings of some devices."""
    now = datetime.now(UTC)
    times = [now - timedelta(seconds=30 * step) for step in range(20)]
    if datatype.gateways:
        return [
            b"".join(gateway.answer(request.encoded, at) for request in gateway.poll.requests)
            for gateway in make_gateways(datatype, DEVICES, 0, ZONE)
            for at in times
        ]
    devices = make_devices(datatype, DEVICES, 0, ZONE)
    return [payload for at in times for device in devices for _, payload in frames(device, at)]


def rate(datatype: DataType) -> float:
    """Frames a second, the median of some passes."""
    kept = [Frame(topic="", payload=payload, device="DEVICE") for payload in payloads(datatype)]
    check, parse = Checker(datatype).check, datatype.parse
    found = []
    for _ in range(PASSES):
        count = 0
        began = time.perf_counter()
        while time.perf_counter() - began < SECONDS:
            for frame in kept:
                for reading in parse(frame):
                    if reading.values:
                        check(reading.values)
            count += len(kept)
        found.append(count / (time.perf_counter() - began))
    return median(found)


def rates() -> dict[str, float]:
    """Data type -> frames a second."""
    return {datatype.name: rate(datatype) for datatype in get_registry() if not can_simulate(datatype, ZONE)}
