"""What a simulated device measures: a value for each of its fields at any time.

What belongs here: the device's values as a whole. What does not: which quantity a field is (`quantity`), how values are
sent (`greenpower.datatype.wire`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from random import Random

from greenpower.datatype import Field
from greenpower.simulator.clue import USUAL_ELAPSED, Clue, Moment
from greenpower.simulator.feeder import Feeder
from greenpower.simulator.quantity import quantity_of

SUNNY = re.compile(r"\b(solar|photovoltaic|PV)\b", re.IGNORECASE)


class Measured:
    """A device that measures fields. All that it measures is a function of the seed and the time.

    about: what the data type is called; a plant that lives by the sun says so. phases: of its feeder. idle: nothing is
    connected any more: there is voltage, no current, registers stand still.
    """

    def __init__(
        self, fields: Iterable[Field], seed: str, *, about: str = "", phases: int = 3, idle: bool = False
    ) -> None:
        clues = [Clue.of(field, Random(f"{seed}/{field.name}")) for field in fields]
        self.feeder = Feeder(Random(seed), phases=phases, solar=SUNNY.search(about) is not None, idle=idle)
        self._quantities = {clue.field.name: (clue.field, quantity_of(clue)) for clue in clues}

    def at(self, second: float, east: float = 0.0, elapsed: float = USUAL_ELAPSED) -> Mapping[str, float]:
        """Field name -> value, inside the field's limits, at a local second that is `east` seconds ahead of UTC, and
        `elapsed` seconds after the last message."""
        moment = Moment(self.feeder, second, east, elapsed)
        return {name: _limited(field, quantity(moment)) for name, (field, quantity) in self._quantities.items()}


def _limited(field: Field, value: float) -> float:
    low = value if field.low is None else max(value, field.low)
    return low if field.high is None else min(low, field.high)
