"""Silences as the quarter-hours of a counter tell them: when it was silent, and how much energy came after that. Pure.

The slot in which a silence ended has its seconds (`silence_s`) and its energy. The silence began at the accepted sample
before that slot.

```
slot         23:45        0:00 … 7:45     8:00
samples      23:50        none            8:05  8:10
silence_s                                 29700          the silence: 23:50 to 8:05
energy                                    10             of it 10 · 29700 / (29700 + 300) are the silence's
```
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from greenpower.measure.adjustment.quarters import milliseconds, quarter_of
from greenpower.measure.slot import Slot

SECOND = timedelta(seconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndedSilence:
    """A silence `[begin, end)` and the energy in counts that its end brought, which the quarter-hour `quarter` has."""

    begin: datetime
    end: datetime
    quarter: int
    energy: int


def find_silences(slots: Sequence[Slot], before_at: datetime | None) -> Iterator[EndedSilence]:
    """The silences that ended in slots, in order. before_at: the accepted sample before them; None: there is none.

    Of several in one quarter-hour the one that led into it is meant, with the seconds of all.
    """
    for slot in slots:
        if slot.last_at is None:
            continue
        if slot.silence_s and before_at is not None:
            # Whole seconds are kept of it, so with one sample its time is the better end.
            told = min(before_at + timedelta(seconds=slot.silence_s), slot.last_at)
            end = slot.last_at if slot.n == 1 else told
            # Otherwise it lies between two samples of the slot.
            if end + SECOND > slot.start:
                silent = milliseconds(end) - milliseconds(before_at)
                whole = milliseconds(slot.last_at) - milliseconds(before_at)
                energy = slot.energy * silent // whole
                yield EndedSilence(begin=before_at, end=end, quarter=quarter_of(slot.start), energy=energy)
        before_at = slot.last_at
