"""While a fall is open: the register comes back, counts up again from where it landed, or goes elsewhere.

What belongs here: how a `Hold` begins, goes on and ends. What does not: what leads to it (`passage`).
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from greenpower.measure.counter.course import CourseEvent, exact
from greenpower.measure.counter.hold import Hold
from greenpower.measure.counter.rules import ROUNDING, SAMPLES_AHEAD, Incident
from greenpower.measure.counter.sight import TYPICAL_FACTOR
from greenpower.measure.counter.track import Track
from greenpower.measure.slot import to_counts
from greenpower.measure.state import Number

# So many rises from where it fell to show that a register counts again.
RISES_TO_CONFIRM = 3


class OpenFall(Track):
    """Goes on while a fall is open."""

    def _held(self, index: int, at: int, hold: Hold) -> None:
        value, register = self.values[index], self.values[at]
        step = value - register
        if self._returns(index, hold, step):
            self._count(index, exact(value, hold.level), to_counts(value) - to_counts(hold.level))
            self._end_hold(index, Incident.DIP)
        elif hold.unit:
            self._count(index, Fraction())
            self._withhold(index, hold)
        elif step == 0:
            self._move(index)
        elif step > 0 and self._allows(index, at, step):
            self._count(index, Fraction())
            pending = hold.pending + exact(value, register)
            self._set_hold(index, replace(hold, steps=hold.steps + 1, pending=pending))
            self._confirm(index)
        elif step > 0:
            self._rises_within(index, at, hold)
        elif not self._leave_out_dip(index, at, self._ahead(index)):
            near, pending = self._lands_near(index, at, hold.typical)
            self._count(index, Fraction())
            self._set_hold(index, replace(hold, near=near, pending=pending, steps=0))
            self._decided(index, index + SAMPLES_AHEAD)

    def _rises_within(self, index: int, at: int, hold: Hold) -> None:
        """A rise beyond the limit while a fall is open."""
        ahead = self._ahead(index)
        back = self._undercut(index, at, ahead)
        if back is not None or len(ahead) < SAMPLES_AHEAD:
            self._leave_out(index, Incident.SPIKE, at, back)
        else:
            self._count(index, Fraction())
            self._set_hold(index, replace(hold, near=False, pending=Fraction(), steps=0))
        self._decided(index, index + SAMPLES_AHEAD if back is None else back)

    def _returns(self, index: int, hold: Hold, step: Number) -> bool:
        """Whether the register is back, in one step, where it could have got to without the fall."""
        over = self.values[index] - hold.level
        if over < 0 or abs(step) <= TYPICAL_FACTOR * hold.typical * ROUNDING:
            return False
        if hold.unit and hold.landed > hold.level and step > 0:
            return False  # back from a smaller unit it falls
        return self._learned(index, over, (self.times[index] - hold.at).total_seconds())

    def _begin_hold(self, index: int, at: int, *, unit: bool) -> None:
        typical = self._typical(index)
        near, pending = (False, Fraction()) if unit else self._lands_near(index, at, typical)
        hold = Hold(
            level=self.values[at],
            at=self.times[at],
            since=self.times[index],
            landed=self.values[index],
            typical=typical,
            near=near,
            pending=pending,
            steps=0,
            unit=unit,
        )
        self._count(index, Fraction())
        self._set_hold(index, hold)
        incident = Incident.UNIT_CHANGE if unit else Incident.FALL
        self.fall = CourseEvent(
            incident=incident,
            index=index,
            before=at,
            hold=hold,
            adds=-exact(self.values[index], self.values[at]),
            # How it ends is told by samples that are not there yet, however many have come.
            settled_at=len(self.values),
            open=True,
        )
        self.course.events.append(self.fall)
        self._withhold(index, hold)
        if unit:
            self._decided(index, self._settled_at(index), through=index + SAMPLES_AHEAD)
        else:
            self._confirm(index)

    def _confirm(self, index: int) -> None:
        """End the fall if the register has counted up from where it landed, or does so next."""
        hold = self.hold
        assert hold is not None
        rises, last, ahead = hold.steps, index, self._ahead(index)
        for other in ahead:
            if rises >= RISES_TO_CONFIRM or self.values[other] < self.values[last]:
                break
            if self.values[other] > self.values[last]:
                if not self._allows(other, last, self.values[other] - self.values[last]):
                    break
                rises += 1
            last = other
        if rises < RISES_TO_CONFIRM:
            self._decided(index, index + SAMPLES_AHEAD)
            return
        value = self.values[index]
        begun_at = Fraction(value) - hold.pending
        begun: Number = begun_at.numerator if begun_at.denominator == 1 else float(begun_at)
        self._count(index, hold.pending, to_counts(value) - to_counts(begun))
        self._decided(index, last)
        self._end_hold(index, Incident.RESET if hold.near else Incident.RESTART)

    def _end_hold(self, index: int, incident: Incident) -> None:
        hold, event = self.hold, self.fall
        assert hold is not None
        if event is None:
            event = CourseEvent(incident=incident, index=self._index_of(hold.since), hold=hold, settled_at=index)
            self.course.events.append(event)
        event.incident, event.until, event.open = incident, index, incident is Incident.RESTART
        landed = Fraction(hold.landed)
        if incident is Incident.DIP:
            event.adds = None
        elif incident is Incident.RESET:
            event.adds = Fraction(hold.level)
        else:
            event.adds = Fraction(hold.level) - landed
        event.settled_at = index
        if event.index is not None:
            if incident is Incident.RESTART:
                event.settled_at = max(index, self._settled_at(event.index))
                self._decided(event.index, event.settled_at, through=event.index + SAMPLES_AHEAD)
            else:
                self.course.withheld.discard(event.index)
            self._decided(event.index, index, through=event.index - 1)
        self._set_hold(index, None)
        self.fall = None
