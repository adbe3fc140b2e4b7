"""What becomes of a sample: accepted with its rise, accepted with another energy, left out; and what is noted there."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

from greenpower.measure.counter.course import Course, CourseEvent, LookAhead, StepEnergy, exact
from greenpower.measure.counter.hold import Hold
from greenpower.measure.counter.rules import LARGEST_ENERGY, SAMPLES_AHEAD, CounterRules, Incident, Swap
from greenpower.measure.counter.series import Series
from greenpower.measure.counter.sight import Sight
from greenpower.measure.counter.small_falls import SmallFalls
from greenpower.measure.slot import to_counts
from greenpower.measure.state import Number

NOTHING = StepEnergy(Fraction(), 0)


class Track(Sight):
    """Keeps the register as it goes along, and the course behind it.

    low, settled: choices that reach from before the one to it, or to the other, are kept. at: the register, by index;
    None where a meter has none yet. hold: the open fall; fall: what it began with. old, swaps: the register of the
    meter before and what led from there to this one.
    """

    def __init__(self, series: Series, rules: CounterRules, *, low: int, settled: int) -> None:
        super().__init__(series, rules)
        self.low, self.settled = low, settled
        self.course = Course()
        self.at = series.known
        self.hold = series.hold
        self.fall: CourseEvent | None = None
        self.old: Number | None = None
        self.swaps: list[Swap] = []
        self.small_falls = SmallFalls(self.changes, self.course, series.start)
        if self.hold is not None and series.known is not None:
            self.course.holds.append((series.known, self.hold))

    def _change_meter(self, swap: Swap) -> None:
        if self.at is not None:
            self.old, self.swaps = self.values[self.at] if self.hold is None else self.hold.level, []
        self.swaps.append(swap)
        self.at = self.hold = self.fall = None

    def _across(self, old: Number, value: Number) -> tuple[Fraction, int]:
        """What was counted from a register of an old meter to one of a new one."""
        begins = [old, *(swap.first for swap in self.swaps)]
        ends = [*(swap.last for swap in self.swaps), value]
        # A register that nobody read: what that meter counted up to there, or from there, is not known.
        pairs = zip(begins, ends, strict=True)
        parts = [(begin, end) for begin, end in pairs if begin is not None and end is not None]
        return (
            sum((exact(end, begin) for begin, end in parts), Fraction()),
            sum(to_counts(end) - to_counts(begin) for begin, end in parts),
        )

    def _move(self, index: int) -> None:
        """Accept a sample, and all since the register."""
        if self.small_falls and self.values[index] != self.values[self.small_falls.last]:
            self.small_falls.end(self.stretch, self.verdicts)
        self.at = index

    def _count(self, index: int, energy: Fraction, counts: int = 0) -> None:
        """Accept a sample whose step counts something else than its rise."""
        if self.small_falls:
            self.small_falls.end(self.stretch, self.verdicts)
        booked = energy and abs(energy) <= LARGEST_ENERGY
        self.course.steps[index] = StepEnergy(energy, counts) if booked else NOTHING
        self.at = index

    def _leave_out(self, index: int, incident: Incident, at: int | None, decided_at: int | None) -> None:
        """Leave a sample out. decided_at: the sample that decides it; None where it has not come."""
        self.course.left_out.append(index)
        if decided_at is None and self.stretch.closed:
            decided_at = index
        if decided_at is not None:
            self.course.events.append(CourseEvent(incident=incident, index=index, before=at, settled_at=decided_at))

    def _leave_out_dip(self, index: int, at: int, ahead: Sequence[int]) -> bool:
        """Leave a sample below the register out, if one ahead is back or is still waited for."""
        back = self._back(at, ahead)
        if back is None and len(ahead) == SAMPLES_AHEAD:
            return False
        self._leave_out(index, Incident.DIP, at, back)
        self._decided(index, index + SAMPLES_AHEAD if back is None else back)
        return True

    def _note(self, incident: Incident, index: int, at: int, settled_at: int, verdict: bool | None) -> None:
        """Keep an incident at an accepted sample."""
        rise = exact(self.values[index], self.values[at])
        adds = self.course.steps[index].energy - rise if index in self.course.steps else Fraction()
        suspect = incident is not Incident.ROLLOVER
        self.course.events.append(
            CourseEvent(incident=incident, index=index, before=at, adds=adds, settled_at=settled_at, open=suspect)
        )
        if suspect and verdict is None:
            self.course.withheld.add(index)

    def _set_hold(self, index: int, hold: Hold | None) -> None:
        self.hold = hold
        self.course.holds.append((index, hold))

    def _withhold(self, index: int, hold: Hold) -> None:
        if hold.since not in self.verdicts:
            self.course.withheld.add(index)

    def _decided(self, index: int, reach: int, through: int | None = None) -> None:
        """Keep a choice that needed samples after it. through: the last that depends on it; None: all."""
        if self.stretch.closed:
            reach = min(reach, self.stretch.end - 1)
        if reach < self.settled and not index < self.low <= reach:
            return  # nothing depends on it any more
        self.course.decisions.append(LookAhead(index, len(self.values) if through is None else through, reach))
