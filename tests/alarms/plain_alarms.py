"""A plain, slow recomputation of the states of an alarm, from docs/alarms.md: no batches, no states that are kept."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

Value = tuple[datetime, float]


@dataclass(frozen=True, slots=True)
class PlainAlarm:
    """An alarm: from when the limit was passed, when it was raised and by what, and when it was cleared; None where it
    goes on."""

    begin: datetime
    raised_at: datetime
    value: float
    cleared_at: datetime | None


def plain_alarms(
    series: Sequence[Value], *, above: float | None, below: float | None, hysteresis: float, for_s: float
) -> list[PlainAlarm]:
    """The alarms of a whole series in order of time."""

    def beyond(value: float) -> bool:
        return (above is not None and value > above) or (below is not None and value < below)

    def within(value: float) -> bool:
        return (above is None or value <= above - hysteresis) and (below is None or value >= below + hysteresis)

    found = []
    place = 0
    while place < len(series):
        if not beyond(series[place][1]):
            place += 1
            continue
        begin = series[place][0]
        # All of a run are beyond; the first that is so late enough raises.
        run = place
        while run < len(series) and beyond(series[run][1]) and series[run][0] < begin + timedelta(seconds=for_s):
            run += 1
        if run == len(series) or not beyond(series[run][1]):
            place = run
            continue
        raised_at, value = series[run]
        clear = run
        while clear < len(series) and not within(series[clear][1]):
            clear += 1
        found.append(PlainAlarm(begin, raised_at, value, series[clear][0] if clear < len(series) else None))
        place = clear
    return found
