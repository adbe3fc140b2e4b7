"""Hold limits: how long the values of a reading hold at most, if no later ones follow.

A value holds until the next sample of its field, but at most twice the device's usual interval, and that at least
`stale_after`. The usual interval is that of the device's readings, not of the field's samples, so all fields share it.
It is told by what came before: later readings do not change it.

What belongs here: the limit. What does not: means over time (`held_block`), silences of counters (`counter.silence`).
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise

# The gaps before a reading that tell the usual one, and how many usual gaps its values hold.
USUAL_GAPS = 16
HELD_GAPS = 2


def gaps_between(times: Sequence[datetime]) -> list[float]:
    """The seconds between consecutive readings."""
    return [(after - before).total_seconds() for before, after in pairwise(times)]


def hold_limits(gaps: Sequence[float], stale_after: float) -> list[float]:
    """How long the values of each reading hold at most, in seconds. gaps: the seconds between consecutive readings, so
    there is one limit more. The first 16 are right only if nothing was before."""
    stale_after = float(stale_after)
    if not gaps or HELD_GAPS * max(gaps) <= stale_after:
        return [stale_after] * (len(gaps) + 1)
    limits, usual = [stale_after], list[float]()
    for index, gap in enumerate(gaps):
        if index >= USUAL_GAPS:
            del usual[bisect_left(usual, gaps[index - USUAL_GAPS])]
        insort(usual, gap)
        middle = len(usual) // 2
        median = usual[middle] if len(usual) % 2 else (usual[middle - 1] + usual[middle]) / 2
        limits.append(max(stale_after, HELD_GAPS * median))
    return limits
