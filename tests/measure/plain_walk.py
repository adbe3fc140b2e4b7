"""The decisions of the plain recomputation, in the order and with the names of the rules: N0 to N3, H1 to H4.

One meter, one sample at a time. What lies between two meters is in `plain_counter`.
"""

from __future__ import annotations

from datetime import datetime
from fractions import Fraction

from tests.measure.plain_count import Hold, PlainCount, PlainIncident, PlainStep, Terms
from tests.measure.plain_series import AHEAD, LARGEST, Segment, hours, within


class Walk:
    """Going along the samples of one meter, from its first to its last."""

    def __init__(self, segment: Segment, result: PlainCount) -> None:
        self.segment = segment
        self.result = result
        self.across: Terms = ()
        self.last: int | None = None
        self.repeated: dict[datetime, bool] = {}

    def take(self, index: int) -> None:
        """Decide about the next sample."""
        if self.last is not None and self.segment.time(index) in self.repeated:
            if self.repeated[self.segment.time(index)] or self.segment.closed:
                self.note("spike", index)
        elif self.last is None:
            self.begin(index)
        elif self.result.hold is None:
            self.normal(index, self.last)
        else:
            self.held(index, self.last, self.result.hold)

    def accept(self, index: int, terms: Terms = (), *, small_fall: bool = False) -> None:
        segment = self.segment
        step = PlainStep(segment.time(index), segment.value(index), terms, small_fall=small_fall)
        self.result.steps.append(step)
        self.last = index

    def note(self, kind: str, index: int, status: str = "noted") -> PlainIncident:
        incident = PlainIncident(kind, self.segment.time(index), status)
        self.result.incidents.append(incident)
        return incident

    def leave_out(self, kind: str, index: int) -> None:
        """A sample that cannot be decided: for now, or for good where no sample of this meter can follow."""
        if self.segment.closed:
            self.note(kind, index)

    def rise(self, index: int, before: int) -> Terms:
        return ((1, self.segment.value(index)), (-1, self.segment.value(before)))

    # N0
    def begin(self, index: int) -> None:
        segment, ahead = self.segment, self.segment.ahead(index)
        undercut = len(ahead) == AHEAD and all(segment.value(place) < segment.value(index) for place in ahead)
        if undercut and all(
            segment.step(place, place - 1) >= 0 and segment.fits(place, place - 1) for place in ahead[1:]
        ):
            self.note("spike", index)
            return
        self.accept(index, ((1, segment.value(index)), *self.across) if self.across else ())

    def goes_on(self, index: int, before: int) -> bool | None:
        """Whether one of the next samples goes on below a high sample; None: cannot be told yet."""
        segment, ahead = self.segment, self.segment.ahead(index)
        if any(
            segment.value(before) <= segment.value(place) < segment.value(index) and segment.fits(place, before)
            for place in ahead
        ):
            return True
        return False if len(ahead) == AHEAD else None

    def comes_back(self, index: int, before: int) -> bool | None:
        """Whether one of the next samples takes a fall back; None: cannot be told yet."""
        segment, ahead = self.segment, self.segment.ahead(index)
        if any(segment.value(place) >= segment.value(before) and segment.fits(place, before) for place in ahead):
            return True
        return False if len(ahead) == AHEAD else None

    def normal(self, index: int, before: int) -> None:
        segment = self.segment
        step = segment.step(index, before)
        free = self.segment.both and (before, index) == (0, 1)
        if 0 <= step <= LARGEST and (free or within(step, segment.base(index, before))):  # N1
            self.accept(index, self.rise(index, before))
        elif step > 0:
            self.jump(index, before)
        else:
            self.fall(index, before)

    # N2
    def jump(self, index: int, before: int) -> None:
        segment = self.segment
        verdict = segment.meter.verdicts.get(segment.time(index))
        if verdict != "rejected" and segment.is_ordinary(index, before):  # N1b
            self.accept(index, self.rise(index, before))
            return
        spike = self.goes_on(index, before)
        k = segment.power_of_ten(index, before)
        if spike is None and not segment.fits(index, before):
            self.leave_out("spike", index)
        elif spike:
            self.note("spike", index)
        elif k is not None and verdict == "rejected":
            self.note("unit_change", index, "rejected")
            self.accept(index)
        elif k is not None:
            self.hold("unit_change", index, before, unit=k)
        elif verdict == "rejected":
            self.note("suspect_step", index, verdict)
            self.accept(index)
        elif segment.fits(index, before):
            self.accept(index, self.rise(index, before))
        else:
            self.note("suspect_step", index, verdict or "open")
            self.accept(index, self.rise(index, before) if verdict == "confirmed" else ())

    # N3
    def fall(self, index: int, before: int) -> None:
        segment, value, was = self.segment, self.segment.value(index), self.segment.value(before)
        verdict = segment.meter.verdicts.get(segment.time(index))
        dip = self.comes_back(index, before)
        if dip is None:
            self.leave_out("dip", index)
            return
        k = segment.power_of_ten(index, before)
        if dip:
            self.note("dip", index)
        elif self.rolls_over(index, before):
            modulus = segment.meter.modulus
            assert modulus is not None
            self.note("rollover", index, verdict or "noted")
            self.accept(index, () if verdict == "rejected" else (*self.rise(index, before), (1, modulus)))
        elif k is not None and verdict == "rejected":
            self.note("unit_change", index, "rejected")
            self.accept(index)
        elif k is not None:
            self.hold("unit_change", index, before, unit=k)
        elif was > 0 and within(Fraction(was) * Fraction(9, 10), value):
            self.note("small_fall", index, verdict or "noted")
            self.accept(index, small_fall=True)
        elif verdict is not None:
            self.note("fall", index, verdict)
            self.accept(index, ((1, value),) if verdict == "confirmed" and value > 0 else ())
        else:
            self.hold("fall", index, before)

    def rolls_over(self, index: int, before: int) -> bool:
        segment, modulus = self.segment, self.segment.meter.modulus
        if modulus is None or not 0 <= segment.value(index) <= segment.value(before) <= modulus:
            return False
        across = segment.step(index, before) + Fraction(modulus)
        return within(across, Fraction(modulus) / 10) and within(across, segment.limit(index, before))

    # N3f and the holds
    def hold(self, kind: str, index: int, before: int, *, unit: int | None = None) -> None:
        segment = self.segment
        incident = self.note(kind, index, segment.meter.verdicts.get(segment.time(index), "open"))
        hold = Hold(incident, segment.value(before), segment.time(before), segment.typical(index), unit=unit)
        hold.landed = segment.value(index)
        self.result.hold = hold
        if unit is None:
            self.land(hold, index, before)
        self.accept(index, self.confirmed(hold, index))

    def land(self, hold: Hold, index: int, before: int) -> None:
        """A fall has landed: near 0, what the register shows was counted since."""
        value = self.segment.value(index)
        size = min(10 * hold.typical, self.segment.base(index, before))
        hold.near = value == 0 or (value > 0 and within(value, size))
        hold.pending = ((1, value),) if hold.near else ()
        hold.steps = 0

    def confirmed(self, hold: Hold, index: int) -> Terms:
        """H4: end the hold if the register has begun again; what was counted since it landed, else nothing."""
        if hold.unit is not None:
            return ()
        steps, place = hold.steps, index
        for later in self.segment.ahead(index):
            step = self.segment.step(later, place)
            if step < 0 or not self.segment.fits(later, place):
                break
            steps, place = steps + (step > 0), later
        if steps < AHEAD:
            return ()
        hold.incident.kind = "reset" if hold.near else "suspect_restart"
        hold.incident.status = "noted" if hold.near else "open"
        hold.incident.until = self.segment.time(index)
        self.result.hold = None
        return hold.pending

    def returns(self, hold: Hold, index: int, before: int) -> bool:
        """H1: in one step back to where the register was. After a change to a smaller unit that is a step down."""
        segment = self.segment
        value, rate, step = segment.value(index), segment.rate(index), segment.step(index, before)
        if hold.unit is not None and hold.unit > 0 and step > 0:
            return False
        since = Fraction(value) - Fraction(hold.level)
        allowed = rate if rate == float("inf") else Fraction(rate) * hours(segment.time(index) - hold.at)
        return 0 <= since <= LARGEST and within(since, allowed) and not within(abs(step), 10 * hold.typical)

    def held(self, index: int, before: int, hold: Hold) -> None:
        segment = self.segment
        step = segment.step(index, before)
        if self.returns(hold, index, before):  # H1
            hold.incident.kind = "dip"
            hold.incident.status = hold.incident.status.replace("open", "noted")
            hold.incident.until = segment.time(index)
            self.result.hold = None
            self.accept(index, ((1, segment.value(index)), (-1, hold.level)))
        elif hold.unit is not None or step == 0:
            self.accept(index)
        elif step > 0 and segment.fits(index, before):  # H2
            hold.steps += 1
            hold.pending += self.rise(index, before)
            self.accept(index, self.confirmed(hold, index))
        elif step > 0:  # H3, up
            spike = self.goes_on(index, before)
            if spike:
                self.note("spike", index)
            elif spike is None:
                self.leave_out("spike", index)
            else:
                hold.near, hold.pending, hold.steps = False, (), 0
                self.accept(index)
        else:  # H3, down
            dip = self.comes_back(index, before)
            if dip:
                self.note("dip", index)
            elif dip is None:
                self.leave_out("dip", index)
            else:
                self.land(hold, index, before)
                self.accept(index)
