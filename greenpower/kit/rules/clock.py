"""Rule for stamps: a plugin reads them unchanged, also on leap days, at DST changes and after clock jumps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from greenpower.datatype import DataType, Frame, FrameError
from greenpower.ingest.steps.clock import ClockRule
from greenpower.kit.outcome import frame_of
from greenpower.kit.plugin import Plugin
from greenpower.kit.problem import Problem, short, shown
from greenpower.simulator.device import CannotSimulate
from greenpower.simulator.fleet import make_fleet

ZONE = ZoneInfo("Europe/Berlin")  # one with DST
CLOCK_RULE = ClockRule(backlog=timedelta(days=35), tolerance=timedelta(seconds=300), zone=ZONE)
#: a correct clock, two times after a reset to 2005, one far in the future, a leap day, both DST changes, the year's end
CLOCK_TIMES = tuple(
    datetime(*parts, tzinfo=UTC)
    for parts in (
        (2026, 11, 23, 13, 30, 7), (2005, 1, 1, 0, 0, 0), (2005, 1, 1, 0, 15, 0), (2099, 12, 31, 23, 59, 59),
        (2028, 2, 29, 12, 0, 0), (2026, 10, 25, 0, 30, 0), (2026, 10, 25, 1, 30, 0), (2026, 3, 29, 1, 0, 0),
        (2026, 12, 31, 23, 30, 0),
    )
)  # fmt: skip


def check_clock(plugin: Plugin) -> Iterator[Problem]:
    """The parser reads every stamp unchanged. The core decides whether a clock is wrong."""
    for datatype in plugin.datatypes:
        try:
            devices = make_fleet([datatype], 1, 0, ZONE).devices
        except CannotSimulate:
            continue
        for device in devices[:1]:
            for at in CLOCK_TIMES:
                claim = next(claim.at(device.topic) for claim in datatype.topics if claim.matches(device.topic))
                for topic, payload in device.send(device.sample(at)):
                    problem = _misread(datatype, frame_of(datatype, topic, claim.device, payload), at)
                    if problem:
                        yield Problem(
                            place=f"{shown(plugin.folder)}: {datatype.name}",
                            found=f"stamp {at.astimezone(ZONE)}: {problem}",
                            expected=f"{at}, or no stamp",
                            fix="use parse_stamp or parse_epoch; leave wrong clocks to the core, which keeps an offset",
                            topic=topic,
                        )
                        return


def _misread(datatype: DataType, frame: Frame, at: datetime) -> str:
    """How the parser changes the stamp of a frame; empty if it does not."""
    try:
        readings = datatype.parse(frame)
    except FrameError as error:
        return f"rejected as {error.reason}: {short(error.detail, 80)}"
    for reading in readings:
        if reading.stamp is not None:
            time = CLOCK_RULE.measured(reading.stamp, at)
            if abs(time - at) > timedelta(seconds=1):
                return f"read as {time}"
    return ""
