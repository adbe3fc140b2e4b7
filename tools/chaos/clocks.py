"""Meters whose clocks step while they send, one frame a second, and what must become of their frames."""

from __future__ import annotations

from dataclasses import dataclass

from tools.chaos.plan import RT, stamp

HOUR, DAY = 3_600, 86_400
LONG_AGO = -20 * 365 * DAY

# How far each clock is off in the first, second and third part of the run, seconds.
STEPS = {
    "33T0000000001": (0, -2 * HOUR - 300, 0),
    "33T0000000002": (LONG_AGO, LONG_AGO, LONG_AGO),
    "33T0000000003": (0, LONG_AGO, 0),
    "33T0000000004": (0, 3 * DAY, 0),
    "33T0000000005": (LONG_AGO, 3 * DAY, LONG_AGO),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tick:
    """One frame of such a meter. number: unique for the device, and its value. step: how far its clock is off.
    part: of the run."""

    device: str
    number: int
    seconds: int
    step: int
    part: int

    @property
    def is_believed(self) -> bool:
        """Whether its stamp is near enough to now to be taken as it is."""
        return -30 * DAY < self.step <= 0

    def message(self) -> tuple[str, str]:
        body = f'{{"id":"{self.device}","ua":230.5,"pa":{self.number},"time":"{stamp(self.seconds)}","isend":"1"}}'
        return RT, body


def ticks(number: int, now: int, progress: float) -> list[Tick]:
    """What these meters send at this second. progress: of the run, 0 to 1."""
    part = min(2, int(progress * 3))
    return [
        Tick(device=device, number=number, seconds=now + steps[part], step=steps[part], part=part)
        for device, steps in STEPS.items()
    ]
