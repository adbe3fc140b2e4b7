"""Which of two times a stamp of the repeated hour means. Pure: what is stored around comes in, a choice goes out.

Where clocks are put back, a stamp without an offset names two times, one in each pass of the hour. What tells them
apart is what the device sent before: a reading that is stored already is that reading, registers do not fall, and
frames come in the order of their measurements. What does not belong here: reading what is stored
(`greenpower.ingest.steps.repeated_hours`), which stamps have two times (`clock`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import NamedTuple

from greenpower.ingest.steps.clock import nearer
from greenpower.ingest.steps.repeat_window import Placed, Window
from greenpower.mongo.readings.store import Number

# Frames that a meter repeats may differ in a last digit; so many decimals make it one.
ODD_DECIMALS = 3


class Choice(NamedTuple):
    """The time of a stamp. moved: the reading that has this place and belongs to the other one."""

    time: datetime
    moved: Placed | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A fragment whose stamp means one of two times, and what is known of it.

    counters: the names of registers. dup: whether its sender says that it may have come before. tolerance: within
    which of its time a frame is said to come at once.
    """

    payload: Mapping[str, Number]
    first: datetime
    second: datetime
    arrival: datetime
    counters: frozenset[str]
    dup: bool
    tolerance: timedelta

    @property
    def live(self) -> bool:
        """Whether it may be of the second pass, and sent at once."""
        return self.is_live(self.arrival)

    def is_live(self, arrival: datetime) -> bool:
        """Whether what arrived then may be of the second pass, and was sent at once."""
        return abs(arrival - self.second) <= self.tolerance

    def falls(self, before: Mapping[str, Number], after: Mapping[str, Number]) -> bool:
        """Whether a register is lower after than before."""
        return any(after[name] < before[name] for name in self.counters if name in after and name in before)


def choose(question: Question, window: Window) -> Choice:
    """The time of a stamp: the first of these that says it.

    1. It goes on with the newest reading, or repeats it.
    2. A reading with the same values is stored at one of the times. Where the values stand still, that says nothing.
    3. One of the times is taken by other values: the lower register is of the first pass. If that one is not where it
       belongs, it is moved.
    4. The registers fit in at one of the times only.
    5. The first time that is later than the newest reading; without such a time, the one nearer to arrival. A device
       that was silent for longer, and whose frame comes just after the second time, has sent it at once.
    """
    first, second = question.first, question.second
    at_first, at_second = window.at.get(first), window.at.get(second)
    last = window.last(question.arrival)
    if last is not None and (last is at_first or last is at_second) and _goes_on(question, last):
        return Choice(last.time)
    if at_first is not None and _same(question.payload, at_first.payload):
        still = last is not None and last.time > first and _stands_still(question.payload, last.payload)
        stands = still or (last is at_first and question.live)
        free = at_second is None or not _conflicts(question.payload, at_second.payload)
        known = at_second is not None and _same(question.payload, at_second.payload)
        return Choice(second if stands and free and not known and not question.dup else first)
    if at_second is not None and _same(question.payload, at_second.payload):
        return Choice(second)
    first_taken = at_first is not None and bool(_conflicts(question.payload, at_first.payload))
    second_taken = at_second is not None and bool(_conflicts(question.payload, at_second.payload))
    if first_taken and second_taken:
        assert at_first is not None and at_second is not None
        odd = len(_conflicts(question.payload, at_first.payload))
        few = odd * 2 < len(question.payload) and odd < len(_conflicts(question.payload, at_second.payload))
        return Choice(first if few else second)
    if first_taken and at_first is not None:
        early = at_second is None and _precedes(question, at_first, window)
        return Choice(first, at_first) if early else Choice(second)
    if second_taken and at_second is not None:
        return _beside_second(question, at_first, at_second, window)
    fits = _fits(question, first, window), _fits(question, second, window)
    if fits[0] is not fits[1]:
        return Choice(first if fits[0] else second)
    return Choice(_in_order(question, last, window))


def _goes_on(question: Question, last: Placed) -> bool:
    """Whether a fragment belongs to the newest reading: nothing in it differs, but for a last digit."""
    repeated = question.live and question.arrival - last.received_at > (question.second - question.first) / 2
    if last.time == question.first and repeated and not question.dup:
        return False
    conflicts = _conflicts(question.payload, last.payload)
    return all(_odd(question.payload[name], last.payload[name]) for name in conflicts) and (
        not conflicts or len(conflicts) < len(question.payload)
    )


def _odd(value: Number, other: Number) -> bool:
    """Whether two numbers differ in their last digit only, of three decimals at least."""
    decimals = max(len(repr(number).partition(".")[2]) for number in (value, other))
    return decimals >= ODD_DECIMALS and abs(value - other) < 1.5 * 10.0**-decimals


def _same(payload: Mapping[str, Number], stored: Mapping[str, Number]) -> bool:
    return all(name in stored and stored[name] == value for name, value in payload.items())


def _stands_still(payload: Mapping[str, Number], later: Mapping[str, Number]) -> bool:
    shared = payload.keys() & later.keys()
    return bool(shared) and all(payload[name] == later[name] for name in shared)


def _conflicts(payload: Mapping[str, Number], stored: Mapping[str, Number]) -> Sequence[str]:
    return [name for name, value in payload.items() if name in stored and stored[name] != value]


def _precedes(question: Question, other: Placed, window: Window) -> bool:
    """Whether a fragment was measured before the reading that has its first time, and that may be of the second."""
    if other.received_at < question.second - question.tolerance:
        return False
    lower, higher = question.falls(other.payload, question.payload), question.falls(question.payload, other.payload)
    if lower is higher:
        return question.arrival < other.received_at
    # Lower than what came before the hour, too: a fault or a new start, and no sign of its place.
    return lower and not _falls_from(question, window.earlier(question.first), question.payload)


def _beside_second(question: Question, at_first: Placed | None, other: Placed, window: Window) -> Choice:
    """The time of a fragment whose second time is taken by other values."""
    first, second = question.first, question.second
    if at_first is not None:
        return Choice(first)
    lower, higher = question.falls(other.payload, question.payload), question.falls(question.payload, other.payload)
    if lower is higher:
        differing = len(_conflicts(question.payload, other.payload)) * 2 > len(question.payload)
        higher = other.received_at < question.arrival and differing
        lower = question.arrival < other.received_at
    movable = not question.is_live(other.received_at)
    if higher and movable and not _falls_from(question, window.earlier(first), other.payload):
        return Choice(second, other)
    return Choice(first if (lower or higher) and _fits(question, first, window) else second)


def _fits(question: Question, time: datetime, window: Window) -> bool:
    """Whether the registers do not fall from the reading before a time, nor to the one after it."""
    if _falls_from(question, window.earlier(time), question.payload):
        return False
    later = next((near for near in window.later(time) if question.counters & near.payload.keys()), None)
    return later is None or not question.falls(question.payload, later.payload)


def _falls_from(question: Question, earlier: Iterable[Placed], payload: Mapping[str, Number]) -> bool:
    """Whether registers are lower than in the nearest reading that has some."""
    before = next((near for near in earlier if question.counters & near.payload.keys()), None)
    return before is not None and question.falls(before.payload, payload)


def _in_order(question: Question, last: Placed | None, window: Window) -> datetime:
    first, second = question.first, question.second
    if last is None:
        before = window.before
        silent = before is None or first - before.time > second - first
        return second if silent and question.live else first
    if last.time < first:
        return first
    if last.time < second:
        return second
    return nearer(first, second, question.arrival)
