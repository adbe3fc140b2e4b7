"""What a counter of one device counted in a stretch of time, and how good that is. Pure.

What belongs here: coverage, what is undecided, what is final. What does not: reading (`greenpower.mongo.energy`), sums
over devices.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from itertools import pairwise
from typing import NamedTuple

from greenpower.measure.slot import OPEN, UNSETTLED
from greenpower.measure.windows import done_before
from greenpower.mongo.energy.pending import PendingHours
from greenpower.mongo.energy.stretch import DeviceEnergy, RegisterReading, Stretch


class MeasuredStretch(NamedTuple):
    """A stretch and how good it is.

    before, after: the registers at its ends; None where none is known. coverage: 0 to 1, the part of it, as far as it
    has passed, that lies between registers. undecided: an incident withholds energy from it. final: it has ended, and
    changes no more in the ordinary way.
    """

    stretch: Stretch
    before: RegisterReading | None
    after: RegisterReading | None
    coverage: float
    undecided: bool
    final: bool


@dataclass(frozen=True, kw_only=True)
class StretchMeasure:
    """What tells how good stretches are. boundaries: one more than there are stretches. pending: hours that will be
    computed again. unknown_from: from when on nothing is computed yet; None where all that there is is known."""

    boundaries: Sequence[datetime]
    pending: PendingHours
    now: datetime
    unknown_from: datetime | None = None

    def measure(self, device: str, energy: DeviceEnergy, fall: datetime | None) -> list[MeasuredStretch]:
        """The stretches of a device. fall: the time of one of which nobody knows yet what it means."""
        measured = []
        before = energy.before
        finals = self._finals(device, energy)
        for stretch, final, passed, (start, end) in zip(
            energy.stretches, finals, self._passed, self._ends, strict=True
        ):
            after = _register_after(before, stretch)
            measured.append(
                MeasuredStretch(
                    stretch=stretch,
                    before=before,
                    after=after,
                    coverage=_coverage(before is not None, stretch, start, passed),
                    undecided=bool(stretch.flags & OPEN) or (fall is not None and start < self.now and fall < end),
                    final=final and not stretch.uncertain,
                )
            )
            before = after
        return measured

    # The same for each device.

    @cached_property
    def _ends(self) -> list[tuple[datetime, datetime]]:
        return list(pairwise(self.boundaries))

    @cached_property
    def _passed(self) -> list[datetime]:
        """Up to where each stretch has passed."""
        return [min(end, self.now) for end in self.boundaries[1:]]

    @cached_property
    def _over(self) -> list[bool]:
        known_until = self.unknown_from
        return [self.is_over(end) and (known_until is None or end <= known_until) for end in self.boundaries[1:]]

    def is_over(self, end: datetime) -> bool:
        """Whether a stretch with this end is over, as far as messages on their way can tell."""
        return end <= done_before(self.now, None)

    def _finals(self, device: str, energy: DeviceEnergy) -> list[bool]:
        """Whether each stretch can change no more in the ordinary way.

        What is computed again in an hour changes the energy of the next sample, too, however much later that is. So
        stretches stay open until a sample has come after the hour.
        """
        known_at = None if energy.before is None else energy.before.at
        spans = [span for span in self.pending.spans_of(device) if known_at is None or span[1] > known_at][::-1]
        if not spans and not self.pending.all:
            return [over and not one.flags & UNSETTLED for over, one in zip(self._over, energy.stretches, strict=True)]
        finals = []
        open_until: datetime | None = None
        for stretch, over, (_, end) in zip(energy.stretches, self._over, self._ends, strict=True):
            while spans and spans[-1][0] < end:
                open_until = spans.pop()[1]
            touched = self.pending.all or open_until is not None
            if open_until is not None and stretch.last_at is not None and stretch.last_at >= open_until:
                open_until = None
            finals.append(over and not touched and not stretch.flags & UNSETTLED)
        return finals


def _register_after(before: RegisterReading | None, stretch: Stretch) -> RegisterReading | None:
    """The register at the end of a stretch: its last accepted sample, or what was known before."""
    if stretch.last_at is None:
        return before
    return RegisterReading(value=stretch.last, at=stretch.last_at)


def _coverage(known: bool, stretch: Stretch, start: datetime, end: datetime) -> float:
    """The part of a stretch, as far as it has passed, that lies between registers. known: there is one before it."""
    if not stretch.counted or stretch.last_at is None or end <= start:
        return 0.0
    since = start if known or stretch.first_at is None else max(start, stretch.first_at)
    return round(max(timedelta(), min(end, stretch.last_at) - min(since, end)) / (end - start), 4)
