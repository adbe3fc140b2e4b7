"""The dip filter: which samples of a counter count, the register without its dips.

A sample is compared with the last one kept. A sample that is not below it is kept. A sample below it is a drop. If one
of the next `SAMPLES_AHEAD` valid samples is back at the level before, the drop is a dip and left out; if none is, it is
a restart of the register and kept; if fewer samples have come, it is left out until they come.

At most `SAMPLES_AHEAD` samples in a row are left out, and all of them are below the one that is kept next. So a choice
that starts anywhere agrees with that of the whole series from the `SAMPLES_AHEAD`th sample on, and on the sample kept
before from the one after that: `SAMPLES_BEFORE` samples before a window are enough. Both are counted in samples, not in
time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from greenpower.measure.state import Number

SAMPLES_AHEAD = 3
SAMPLES_BEFORE = SAMPLES_AHEAD + 1


@dataclass(slots=True)
class FilteredSamples:
    """What became of a series, by index.

    kept: those that count. dips: those left out for good. drops: all that were below the last kept, each with the
    index of the sample that decides it, which may not have come yet. open_from: the first that a sample which has not
    come yet may decide, and with it all after it; None if there is none.
    """

    kept: list[int] = field(default_factory=list)
    dips: list[int] = field(default_factory=list)
    drops: list[tuple[int, int]] = field(default_factory=list)
    open_from: int | None = None


def filter_dips(values: Sequence[Number], settled: int | None = None) -> FilteredSamples:
    """Filter a series. settled: between so many of its first samples no further one is expected; None for all."""
    result = FilteredSamples()
    settled = len(values) if settled is None else settled
    last: Number | None = None
    for index, value in enumerate(values):
        if last is None or value >= last:
            result.kept.append(index)
            last = value
            continue
        ahead = values[index + 1 : index + 1 + SAMPLES_AHEAD]
        back = next((place for place, other in enumerate(ahead, index + 1) if other >= last), None)
        decided_by = index + SAMPLES_AHEAD if back is None else back
        result.drops.append((index, decided_by))
        if decided_by >= settled and result.open_from is None:
            result.open_from = index
        if back is not None:
            result.dips.append(index)
        elif len(ahead) == SAMPLES_AHEAD:
            result.kept.append(index)
            last = value
    return result
