"""How much is used and produced when: shapes over the local day, the week and the year. Pure functions of time.

What does not belong here: who uses it (`site`), what meters make of it (`year`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from math import cos, sin, tau

SATURDAY = 5
#: the day of the year with the most sun, of the northern half
MIDSUMMER = 172


@dataclass(frozen=True, slots=True, kw_only=True)
class DayLoad:
    """A use of energy. hours: parts of the peak at each full local hour, straight lines between them. weekend: what is
    left of it on Saturday and Sunday. season: how much more it is at midsummer (less at midwinter), as a part."""

    hours: tuple[float, ...]
    weekend: float = 1.0
    season: float = 0.0

    def at(self, local: datetime) -> float:
        """The part of the peak at a local time."""
        hour, part = local.hour, (local.minute + local.second / 60) / 60
        level = self.hours[hour] * (1 - part) + self.hours[(hour + 1) % 24] * part
        if local.weekday() >= SATURDAY:
            level *= self.weekend
        return level * (1 + self.season * warmth(local))


def warmth(local: datetime) -> float:
    """1 at midsummer, -1 at midwinter."""
    return cos(tau * (local.timetuple().tm_yday - MIDSUMMER) / 365.25)


def sun(local: datetime) -> float:
    """What a solar plant gives without clouds, as a part of its best."""
    length = 12 + 4 * warmth(local)
    hour = local.hour + (local.minute + local.second / 60) / 60
    since = hour - (12.5 - length / 2)
    if not 0 < since < length:
        return 0.0
    return sin(tau / 2 * since / length) * (0.7 + 0.3 * warmth(local))


def _day(value: Callable[[int], float]) -> tuple[float, ...]:
    return tuple(value(hour) for hour in range(24))


MACHINES = DayLoad(hours=_day(lambda hour: 0.95 if 6 <= hour < 22 else 0.12), weekend=0.15)
BAKERY = DayLoad(hours=_day(lambda hour: 0.9 if 3 <= hour < 13 else 0.1), weekend=0.8)
LIGHT = DayLoad(hours=_day(lambda hour: 0.1 if 8 <= hour < 17 else 0.9), season=-0.3)
OFFICE = DayLoad(hours=_day(lambda hour: 0.85 if 8 <= hour < 18 else 0.1), weekend=0.2)
COOLING = DayLoad(hours=_day(lambda hour: 0.8 if 10 <= hour < 20 else 0.4), season=0.4)
PUMP = DayLoad(hours=(0.6,) * 24)
