"""What a field says of itself, and the moment that it is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from random import Random

from greenpower.datatype import Field
from greenpower.simulator.curve import DAY, HOUR, Ripple
from greenpower.simulator.feeder import Feeder, State

PEAK = 19 * HOUR
# Seconds between two messages of a device of which nothing else is known.
USUAL_ELAPSED = 60.0
PHASES = {"a": 0, "b": 1, "c": 2}


class Moment:
    """A feeder at one local second, `east` seconds ahead of UTC and `elapsed` seconds after the last message; what
    several fields need is worked out once."""

    def __init__(self, feeder: Feeder, second: float, east: float, elapsed: float = USUAL_ELAPSED) -> None:
        self.feeder = feeder
        self.second = second
        self.east = east
        self.elapsed = elapsed

    def earlier(self, seconds: float) -> Moment:
        """The same feeder so many seconds before."""
        return Moment(self.feeder, self.second - seconds, self.east, self.elapsed)

    @cached_property
    def state(self) -> State:
        return self.feeder.at(self.second)

    @cached_property
    def demand(self) -> State:
        return self.feeder.demand(self.second)

    @cached_property
    def monthly_peak(self) -> State:
        """The state at yesterday's peak, which stands for the month's."""
        return self.feeder.demand(self.second - self.second % DAY - DAY + PEAK)


@dataclass(frozen=True, slots=True)
class Clue:
    """What a field says of itself: words, the phase it is of (None: all), and its place among its device's fields."""

    field: Field
    words: str
    phase: int | None
    line: tuple[int, int] | None
    ripple: Ripple
    spread: float

    @classmethod
    def of(cls, field: Field, random: Random) -> Clue:
        words = f"{field.name.replace('_', ' ')} {field.title}".lower()
        line = re.search(r"\b([abc])-([abc])\b", words)
        single = re.findall(r"(?<![-\w])([abc])(?![-\w])", words)
        return cls(
            field=field, words=words, ripple=Ripple(random), spread=random.uniform(-1, 1),
            line=(PHASES[line[1]], PHASES[line[2]]) if line else None,
            phase=PHASES[single[-1]] if single and not line else None,
        )  # fmt: skip

    def has(self, pattern: str) -> bool:
        return re.search(pattern, self.words) is not None
