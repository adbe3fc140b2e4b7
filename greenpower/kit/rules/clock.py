"""Stamps are taken as devices write them: through leap days, DST and clocks that jump."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from greenpower.datatype import DataType, Frame, FrameError
from greenpower.ingest.steps.clock import ClockRule
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown
from greenpower.simulator.device import CannotSimulate
from greenpower.simulator.fleet import make_fleet

ZONE = ZoneInfo("Europe/Berlin")  # one with DST
RULE = ClockRule(backlog=timedelta(days=35), tolerance=timedelta(seconds=300), zone=ZONE)
#: a clock that runs, one that was reset and says 2005, one far ahead, a leap day, both ends of DST, a year's end
TIMES = tuple(
    datetime(*parts, tzinfo=UTC)
    for parts in (
        (2026, 11, 23, 13, 30, 7), (2005, 1, 1, 0, 0, 0), (2005, 1, 1, 0, 15, 0), (2099, 12, 31, 23, 59, 59),
        (2028, 2, 29, 12, 0, 0), (2026, 10, 25, 0, 30, 0), (2026, 10, 25, 1, 30, 0), (2026, 3, 29, 1, 0, 0),
        (2026, 12, 31, 23, 30, 0),
    )
)  # fmt: skip


def check_clock(plugin: Plugin) -> Iterator[Problem]:
    """Whatever a device's clock says, its stamp is read as that time; what it means is the core's to judge."""
    for datatype in plugin.datatypes:
        try:
            devices = make_fleet([datatype], 1, 0, ZONE).devices
        except CannotSimulate:
            continue
        for device in devices[:1]:
            for at in TIMES:
                claim = next(claim.at(device.topic) for claim in datatype.topics if claim.matches(device.topic))
                for topic, payload in device.send(device.sample(at)):
                    fault = _misread(datatype, Frame(topic=topic, payload=payload, device=claim.device), at)
                    if fault:
                        yield Problem(
                            place=f"{shown(plugin.folder)}: {datatype.name}",
                            found=f"a device whose clock says {at.astimezone(ZONE)} {fault}",
                            expected=f"{at}, or no stamp at all",
                            do="use parse_stamp or parse_epoch, and leave wrong clocks to the core: it keeps an offset",
                        )
                        return


def _misread(datatype: DataType, frame: Frame, at: datetime) -> str:
    try:
        readings = datatype.parse(frame)
    except FrameError as error:
        return f"is rejected: {error.reason} {short(error.detail, 80)}"
    for reading in readings:
        if reading.stamp is not None:
            found = RULE.measured(reading.stamp, at)
            if abs(found - at) > timedelta(seconds=1):
                return f"is read as {found}"
    return ""
