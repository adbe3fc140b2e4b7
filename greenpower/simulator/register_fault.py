"""What goes wrong inside a meter: its registers do not say what was used. Pure functions of the device and the time.

What belongs here: the values of registers. What does not: frames that are lost or repeated (`fault`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from datetime import UTC, datetime, timedelta
from random import Random

from greenpower.datatype import DataType

REGISTER_FAULTS = {
    "zeros": "registers read 0 for an hour, out of every six",
    "falls": "registers fall a little every six hours: a power cut takes the last twenty minutes of counting",
    "meter": "another meter takes the place of the one before every six hours, without a word",
}
# Devices have their faults at times of their own, one of each kind in this time.
FAULT_CYCLE = timedelta(hours=6)
ZERO_SPAN = timedelta(hours=1)
LOST_SPAN = timedelta(minutes=20)
# Before this time nothing has been lost yet.
FIRST_FAULT = datetime(2026, 1, 1, tzinfo=UTC)
# What the register of another meter shows, as a share of that of the meter before.
OTHER_METERS = (0.0, 3.0)

Values = Mapping[str, float]


def misread(
    datatype: DataType, device_id: str, at: datetime, measure: Callable[[datetime], Values], faults: Set[str]
) -> tuple[Values, tuple[str, ...]]:
    """The values that a device shows at a time (aware), and the faults that change them.

    measure: what it measures at a time. A register that is an anchor never reads 0: its frame would be a zero frame.
    """
    values = dict(measure(at))
    struck: list[str] = []
    registers = [field for field in datatype.fields if field.kind.is_register and field.name in values]
    if not registers:
        return values, ()
    if "falls" in faults and (falls := _cycles(device_id, "falls", at)[0]) > 0:
        earlier = measure(at - falls * LOST_SPAN)
        values.update((field.name, earlier[field.name]) for field in registers)
        struck.append("falls")
    if "meter" in faults:
        number, since = _cycles(device_id, "meter", at)
        share = Random(f"{device_id}/meter/{number}").uniform(*OTHER_METERS) - 1
        before = measure(since)
        for field in registers:
            shown = values[field.name] + share * before[field.name]
            values[field.name] = shown if field.high is None else min(shown, field.high)
        struck.append("meter")
    if "zeros" in faults and at - _cycles(device_id, "zeros", at)[1] < ZERO_SPAN:
        values.update((field.name, 0.0) for field in registers if field.name not in datatype.anchors)
        struck.append("zeros")
    return values, tuple(struck)


def register_faults(faults: Iterable[str]) -> frozenset[str]:
    """Those of some faults that are faults of registers."""
    return frozenset(faults) & REGISTER_FAULTS.keys()


def _cycles(device_id: str, fault: str, at: datetime) -> tuple[int, datetime]:
    """How many faults of a kind a device has had at a time, and when the last one began."""
    phase = Random(f"{device_id}/{fault}").random() * FAULT_CYCLE
    number = (at - FIRST_FAULT - phase) // FAULT_CYCLE
    return number + 1, FIRST_FAULT + phase + number * FAULT_CYCLE
