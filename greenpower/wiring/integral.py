"""Energy from power, and how far a register went meanwhile: windows in which the two can be compared. Pure.

What belongs here: integration over samples with gaps, and cutting windows. What does not: what the ratio means
(`checks.register_power`).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import sqrt
from statistics import median

HOUR = 3_600.0
#: a gap of so many usual intervals, or of less than so many seconds, is bridged
BRIDGED_INTERVALS, BRIDGED_SECONDS = 3.0, 300.0
#: a window has at least so many last digits of the register, and lasts so long
LEAST_STEPS, LEAST_WINDOW_SECONDS = 20.0, 1_800.0
#: of a window's energy, so much may have gone the other way
OTHER_WAY_SHARE = 0.02


@dataclass(frozen=True, slots=True)
class EnergyWindow:
    """forward, backward: kWh from power above and below 0. rise: kWh of the register. begin, end: epoch seconds. error:
    kWh that the snapshots may have missed (one standard deviation)."""

    forward: float
    backward: float
    rise: float
    begin: float
    end: float
    error: float


class PowerIntegral:
    """The integral of a power in kW over times in epoch seconds: straight lines between samples."""

    def __init__(self, times: Sequence[float], powers: Sequence[float | None]) -> None:
        """powers: None at a time whose power says nothing: what lies beside it is a gap."""
        self._times = times
        steps = [later - earlier for earlier, later in pairwise(times)]
        bridged = max(BRIDGED_SECONDS, BRIDGED_INTERVALS * median(steps)) if steps else 0.0
        self._powers = [0.0 if power is None else power for power in powers]
        self._forward, self._backward, self._error, self._gaps = [0.0], [0.0], [0.0], [0]
        for number, (step, (one, other)) in enumerate(zip(steps, pairwise(self._powers), strict=True)):
            forward, backward = _parts(one, other)
            hours = step / HOUR
            gap = step > bridged or powers[number] is None or powers[number + 1] is None
            self._forward.append(self._forward[-1] + (0.0 if gap else forward * hours))
            self._backward.append(self._backward[-1] + (0.0 if gap else backward * hours))
            self._error.append(self._error[-1] + (0.0 if gap else ((other - one) * hours) ** 2 / 12))
            self._gaps.append(self._gaps[-1] + gap)

    @property
    def total(self) -> tuple[float, float]:
        """kWh of all samples: (forward, backward)."""
        return self._forward[-1], self._backward[-1]

    def at(self, time: float) -> tuple[float, float, float, int] | None:
        """(forward kWh, backward kWh, squared error, gaps) up to a time; None outside of the samples and in a gap."""
        if not self._times or not self._times[0] <= time <= self._times[-1]:
            return None
        place = bisect_right(self._times, time) - 1
        if time == self._times[place]:
            return self._forward[place], self._backward[place], self._error[place], self._gaps[place]
        if self._gaps[place + 1] > self._gaps[place]:
            return None
        begin, end = self._times[place], self._times[place + 1]
        share = (time - begin) / (end - begin)
        one = self._powers[place]
        forward, backward = _parts(one, one + share * (self._powers[place + 1] - one))
        hours = (time - begin) / HOUR
        error = share * (self._error[place + 1] - self._error[place])
        return (
            self._forward[place] + forward * hours, self._backward[place] + backward * hours,
            self._error[place] + error, self._gaps[place],
        )  # fmt: skip


def _parts(one: float, other: float) -> tuple[float, float]:
    """The mean above and below 0 of a straight line between two powers."""
    if one >= 0 and other >= 0:
        return (one + other) / 2, 0.0
    if one <= 0 and other <= 0:
        return 0.0, -(one + other) / 2
    high, low = max(one, other), min(one, other)
    return high * high / (2 * (high - low)), low * low / (2 * (high - low))


def windows(
    power: PowerIntegral, times: Sequence[float], register: Sequence[float], digit: float
) -> list[EnergyWindow]:
    """Windows between readings of a register, each long enough for its last digit, without gaps and falls."""
    found: list[EnergyWindow] = []
    begin: tuple[float, float, tuple[float, float, float, int]] | None = None
    before: float | None = None
    for time, value in zip(times, register, strict=True):
        here = power.at(time)
        fell = before is not None and value < before
        before = value
        if here is None or fell:
            begin = None
            continue
        if begin is None or here[3] != begin[2][3]:
            begin = (time, value, here)
            continue
        forward, backward = here[0] - begin[2][0], here[1] - begin[2][1]
        rise = value - begin[1]
        if time - begin[0] < LEAST_WINDOW_SECONDS or max(forward, backward, rise) < LEAST_STEPS * digit:
            continue
        error = sqrt(max(0.0, here[2] - begin[2][2]))
        found.append(EnergyWindow(forward=forward, backward=backward, rise=rise, begin=begin[0], end=time, error=error))
        begin = (time, value, here)
    return found


def one_way(window: EnergyWindow, forward: bool) -> bool:
    """Whether nearly all of a window's power went one way."""
    there, back = (window.forward, window.backward) if forward else (window.backward, window.forward)
    return there > 0 and back <= OTHER_WAY_SHARE * there
