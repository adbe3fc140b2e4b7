"""Devices and times for these tests, and reading back what devices sent."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from greenpower.catalog.registry import get_registry
from greenpower.datatype import DataType, Frame
from greenpower.datatype.check import Checker, Number
from greenpower.simulator.device import CannotSimulate, Packet, make_devices

ZONE = ZoneInfo("Asia/Dhaka")
EVENING = datetime(2026, 11, 23, 13, 30, 7, tzinfo=UTC)  # 19:30:07 in Dhaka
NIGHT = datetime(2026, 11, 22, 21, 30, 7, tzinfo=UTC)  # 03:30:07 in Dhaka

Read = dict[tuple[str | None, datetime | None], dict[str, Number]]


def over_mqtt() -> list[DataType]:
    """The data types that simulated devices send over MQTT."""
    found = []
    for datatype in get_registry():
        try:
            make_devices(datatype, 1, 0, ZONE)
        except CannotSimulate:
            continue
        found.append(datatype)
    return found


def read(datatype: DataType, packets: Iterable[Packet]) -> tuple[Read, dict[str, str]]:
    """What ingest would store: {(device, stamp): payload}, packets of one reading merged, and what is left out."""
    checker = Checker(datatype)
    found: Read = {}
    missing: dict[str, str] = {}
    ids: dict[datetime | None, str] = {}
    for topic, payload in packets:
        (claim,) = (claim.at(topic) for claim in datatype.topics if claim.matches(topic))
        for reading in datatype.parse(Frame(topic=topic, payload=payload, device=claim.device)):
            values, left_out = checker.check(reading.values)
            if reading.device_id is not None:
                ids[reading.stamp] = reading.device_id
            found.setdefault((reading.device_id, reading.stamp), {}).update(values)
            missing |= left_out
    if datatype.id_in_one_part:
        for _, stamp in [key for key in found if key[0] is None]:
            found.setdefault((ids[stamp], stamp), {}).update(found.pop((None, stamp)))
    return found, missing
