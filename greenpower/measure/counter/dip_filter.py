"""Which samples of a counter count: the register as it was, without the dips.

A sample is held against the last one kept. One that is not below it is kept. A drop that one of the next `AHEAD` valid
samples takes back is a dip and left out; one that none of them takes back is a restart of the register and kept; one
that too few came after is left out until they came.

At most `AHEAD` samples in a row are left out, and all of them are below the one that is kept next. So a choice that
starts anywhere agrees with that of the whole series from the `AHEAD`th sample on, and on the sample kept before from
the one after that: `BEFORE` samples before a window tell all that is needed. Both are counted in samples, not in
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

Number = int | float

AHEAD = 3
BEFORE = AHEAD + 1


@dataclass(slots=True)
class FilteredSamples:
    """What became of a series, by index.

    kept: those that count. dips: those left out for good. drops: all that were below the last kept, each with the
    index of the sample that decides its fate, which may still be to come. open_from: the first whose fate a sample that
    is still to come may change, and with it that of all after it; None if there is none.
    """

    kept: list[int] = field(default_factory=list)
    dips: list[int] = field(default_factory=list)
    drops: list[tuple[int, int]] = field(default_factory=list)
    open_from: int | None = None


def filter_dips(values: Sequence[Number], settled: int | None = None) -> FilteredSamples:
    """Sift a series. settled: how many of its first samples can have no further one come between them; None for all."""
    result = FilteredSamples()
    settled = len(values) if settled is None else settled
    last: Number | None = None
    for index, value in enumerate(values):
        if last is None or value >= last:
            result.kept.append(index)
            last = value
            continue
        ahead = values[index + 1 : index + 1 + AHEAD]
        back = next((place for place, other in enumerate(ahead, index + 1) if other >= last), None)
        decided_by = index + AHEAD if back is None else back
        result.drops.append((index, decided_by))
        if decided_by >= settled and result.open_from is None:
            result.open_from = index
        if back is not None:
            result.dips.append(index)
        elif len(ahead) == AHEAD:
            result.kept.append(index)
            last = value
    return result
