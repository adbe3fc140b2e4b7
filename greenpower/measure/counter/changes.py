"""What a register usually does around a sample: how fast it rises, and by how much. Pure.

Equal neighbours are one run. A change leads from one run to the next; it took from the first sample of the one run to
the first sample of the other. So a register of whole kWh that ticks every twelve minutes rises at 5 kW, however often
it is read. Which samples are accepted does not matter here: what is found depends on the samples alone.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from operator import ne
from statistics import median

from greenpower.measure.counter.rules import ROUNDING, SAMPLES_AHEAD
from greenpower.measure.state import Number

# How many changes on either side of a step tell its limit, and how many samples are looked through for them.
CHANGES_AROUND = 16
LOOK_SAMPLES = 1_000
# A rise may be so many times faster than those around it.
LEARNED_FACTOR = 10
# One rise that is an error must not teach a limit: so many must be that fast, or half of what there is.
FAST_CHANGES = 4
NET_OUTLIER_CHANGES = 2
# A rise at most so many times faster than `FAST_CHANGES` before it is an ordinary one.
ORDINARY_FACTOR = 2


@dataclass(slots=True)
class MeterSamples:
    """A part of a series, `[begin, end)`: the samples of one meter.

    whole: nothing is known to be missing before it. closed: nothing more comes after it.
    """

    begin: int
    end: int
    whole: bool
    closed: bool


class RegisterChanges:
    """The changes in a series.

    net: the register counts both ways; then the sizes of its falls tell as much as those of its rises. short: something
    asked for may be answered differently when more samples before the series are known.
    """

    def __init__(
        self, values: Sequence[Number], times: Sequence[datetime], unmeasured: frozenset[int], *, net: bool = False
    ) -> None:
        self.values = values
        self.times = times
        self.unmeasured = unmeasured
        self.net = net
        self._moves: list[int] | None = None
        self.short = False

    @property
    def moves(self) -> list[int]:
        """The first samples of the runs, but for the first run."""
        if self._moves is None:
            self._moves = [index for index, moves in enumerate(map(ne, self.values[1:], self.values), 1) if moves]
        return self._moves

    def low(self, index: int, stretch: MeterSamples) -> int:
        """The first sample that is looked at for one."""
        return max(stretch.begin, index - LOOK_SAMPLES)

    def next_move(self, index: int) -> int | None:
        """The first change after a sample."""
        place = bisect_right(self.moves, index)
        return self.moves[place] if place < len(self.moves) else None

    def last_move(self, index: int, low: int) -> int | None:
        """The last change before a sample, after sample `low`."""
        place = bisect_left(self.moves, index)
        return self.moves[place - 1] if place and self.moves[place - 1] > low else None

    def run_start(self, index: int, low: int) -> int:
        """The first sample of the run that a sample is in, as far as sample `low`."""
        place = bisect_right(self.moves, index)
        return max(low, self.moves[place - 1]) if place else low

    def seconds(self, since: int, index: int) -> float:
        """The time between two samples."""
        return (self.times[index] - self.times[since]).total_seconds()

    def _before(self, index: int, stretch: MeterSamples) -> Iterator[tuple[Number, float]]:
        """The size and duration of the changes before a sample, newest first."""
        low = self.low(index, stretch)
        # At the begin of what is given a run, or a change, may have begun earlier.
        cut = low == stretch.begin and not stretch.whole and index - low < LOOK_SAMPLES
        place = bisect_left(self.moves, index)
        left = CHANGES_AROUND
        while left:
            place -= 1
            move = self.moves[place] if place >= 0 else low
            if move <= low:
                self.short |= cut
                return
            if move in self.unmeasured:
                continue
            left -= 1
            size = self._size(move)
            since = self.run_start(move - 1, low)
            self.short |= cut and since == low
            yield size, self.seconds(since, move)

    def _size(self, move: int) -> Number:
        size = self.values[move] - self.values[move - 1]
        return abs(size) if self.net else size

    def _enough(self, known: int) -> int:
        """How many of so many changes have to be fast to teach a rate. An outlier of a net register is two changes,
        there and back; so of more than two at least three."""
        half = (known + 1) // 2
        return min(FAST_CHANGES, max(half, min(known, NET_OUTLIER_CHANGES + 1)) if self.net else half)

    def _after(self, index: int, stretch: MeterSamples) -> Iterator[tuple[Number, float]]:
        """The same of the changes after a sample, oldest first. Leaves out a step of unknown duration."""
        low, high = self.low(index, stretch), min(stretch.end, index + LOOK_SAMPLES + 1)
        first = bisect_right(self.moves, index)
        for move in self.moves[first : first + CHANGES_AROUND]:
            if move >= high:
                return
            if move not in self.unmeasured:
                yield self._size(move), self.seconds(self.run_start(move - 1, low), move)

    def known_at(self, index: int, stretch: MeterSamples) -> int:
        """The sample from which on no further one tells more about a step; the series' end where it is not there."""
        first = bisect_right(self.moves, index)
        moves = self.moves[first : first + CHANGES_AROUND]
        last = index + LOOK_SAMPLES
        if len(moves) == CHANGES_AROUND:
            last = min(last, moves[-1])
        if last < stretch.end:
            return last
        return stretch.end - 1 if stretch.closed else len(self.values)

    def is_ordinary(self, index: int, rise: Number, seconds: float, stretch: MeterSamples) -> bool:
        """Whether the register only rose before a step, and often enough half as fast as it, or faster.

        Of a net register its falls tell as much."""
        found = 0
        for size, duration in self._before(index, stretch):
            if size < 0:
                return False
            found += ORDINARY_FACTOR * ROUNDING * size * seconds >= rise * duration
        return found >= FAST_CHANGES

    def is_learned(self, index: int, rise: Number, seconds: float, stretch: MeterSamples) -> bool:
        """Whether a rise in so many seconds, up to a sample, is within what the rises around it teach.

        They teach the rate that `FAST_CHANGES` of them have reached, or half of them where they are fewer. What came
        after it is taken step by step, so a further sample only adds to what was taught before.
        """
        was, known, fast = self.short, 0, 0
        needed = LEARNED_FACTOR * ROUNDING * seconds
        for size, duration in self._before(index, stretch):
            if size < 0:
                continue
            known += 1
            fast += size * needed >= rise * duration
            if fast == FAST_CHANGES:
                self.short = was
                return True
        if known and fast >= self._enough(known):
            return True
        for size, duration in self._after(index, stretch):
            if size < 0:
                continue
            known += 1
            fast += size * needed >= rise * duration
            if fast >= self._enough(known):
                if fast >= FAST_CHANGES:
                    self.short = was
                return True
        return False

    def typical(self, index: int, stretch: MeterSamples) -> Number:
        """The usual rise before a sample; where there is none, of the next samples; 0 where they do not rise.

        Of a net register the usual change."""
        sizes = [size for size, _ in self._before(index, stretch) if size > 0]
        return median(sizes or self.rises_ahead(index, stretch) or [0])

    def rises_ahead(self, index: int, stretch: MeterSamples) -> list[Number]:
        """The rises among the samples ahead of a sample; of a net register the changes."""
        chain = self.values[index : min(index + SAMPLES_AHEAD + 1, stretch.end)]
        if self.net:
            return [abs(after - before) for before, after in pairwise(chain) if after != before]
        return [after - before for before, after in pairwise(chain) if after > before]
