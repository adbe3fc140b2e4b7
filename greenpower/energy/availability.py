"""Data availability: of how many quarter-hours a counter has data, and why the others have none. Pure.

A quarter-hour is available where a sample lies in it, or the next sample follows that of before within `MAX_GAP`: a
meter that is read each half-hour misses nothing. What belongs here: the reasons. What does not: reading the ledger
(`availability_reader`), what energy is worth (`amount`).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

QUARTER = timedelta(minutes=15)
#: as many quarter-hours without a sample between two samples are none that are missing
MAX_GAP = 3


class MissingReason(StrEnum):
    """Why a quarter-hour has no data. The first that applies.

    no_meter: no counter is a part of the point then. not_installed: the data type of the counter is not in force.
    expired: the readings are gone and were never computed. not_begun: before the first sample. left_out: a correction
    leaves the samples out. not_computed: it will be computed again. undecided: an incident withholds what was sent.
    silence: nothing was sent.
    """

    NO_METER = "no_meter"
    NOT_INSTALLED = "not_installed"
    EXPIRED = "expired"
    NOT_BEGUN = "not_begun"
    LEFT_OUT = "left_out"
    NOT_COMPUTED = "not_computed"
    UNDECIDED = "undecided"
    SILENCE = "silence"


ORDER = {reason: place for place, reason in enumerate(MissingReason)}


@dataclass(slots=True, kw_only=True)
class Availability:
    """Of how many quarter-hours there is data. expected: those that have passed. missing: the others, by reason."""

    expected: int = 0
    available: int = 0
    missing: Counter[MissingReason] = field(default_factory=Counter)

    @property
    def percent(self) -> float | None:
        """The available part of the expected; None where nothing is expected."""
        return round(100 * self.available / self.expected, 2) if self.expected else None

    def add(self, other: Availability) -> None:
        """Add that of another time."""
        self.expected += other.expected
        self.available += other.available
        self.missing.update(other.missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampled:
    """The quarter-hours of a counter, from `begin` on. samples: whether a sample lies in each; open: whether an
    incident withholds energy there. before: whether there was a sample before `begin`."""

    begin: datetime
    samples: Sequence[bool]
    open: Sequence[bool]
    before: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Gaps:
    """What explains quarter-hours without samples. known_from: of earlier times nothing is left. left_out: spans that
    corrections leave out, an end of None for one that goes on. pending: spans that will be computed again."""

    known_from: datetime
    left_out: Sequence[tuple[datetime, datetime | None]] = ()
    pending: Sequence[tuple[datetime, datetime]] = ()


def reasons(sampled: Sampled, gaps: Gaps) -> list[MissingReason | None]:
    """Why each quarter-hour has no data; None for one that has. The last ones may be none that are missing yet: see
    `waiting`."""
    count = len(sampled.samples)
    places = [place for place, has in enumerate(sampled.samples) if has]
    found: list[MissingReason | None] = [MissingReason.SILENCE] * count
    first = 0 if sampled.before else (places[0] if places else count)
    found[:first] = [MissingReason.NOT_BEGUN] * first
    for place in places:
        found[place] = None
    last = None
    for place in places:
        if last is not None and place - last - 1 <= MAX_GAP:
            found[last:place] = [None] * (place - last)
        last = place
    for place, reason in enumerate(found):
        if reason is not None:
            found[place] = _why(sampled, place, reason, gaps)
    return found


def waiting(sampled: Sampled) -> int:
    """How many quarter-hours at the end have no sample yet, and are not missing: the next may still come in time."""
    trailing = next((place for place, has in enumerate(reversed(sampled.samples)) if has), None)
    return trailing if trailing is not None and trailing <= MAX_GAP else 0


def _why(sampled: Sampled, place: int, reason: MissingReason, gaps: Gaps) -> MissingReason:
    at = sampled.begin + place * QUARTER
    if at < gaps.known_from:
        return MissingReason.EXPIRED
    if any(begin < at + QUARTER and (end is None or at < end) for begin, end in gaps.left_out):
        return MissingReason.LEFT_OUT
    if any(begin <= at < end for begin, end in gaps.pending):
        return MissingReason.NOT_COMPUTED
    if sampled.open[place]:
        return MissingReason.UNDECIDED
    return reason


def worst(several: Iterable[MissingReason | None]) -> MissingReason | None:
    """Of a quarter-hour of several counters that are added up: the first reason there is."""
    return min((reason for reason in several if reason is not None), key=ORDER.__getitem__, default=None)


def combined(
    parts: Iterable[tuple[int, int, Sequence[MissingReason | None]]], count: int
) -> list[MissingReason | None]:
    """Why each of a point's quarter-hours has no data. parts: from which quarter-hour to which a counter is a part, and
    why each of its quarter-hours has none, from the first of all on."""
    # A quarter-hour of which no counter is a part has no meter.
    found: list[MissingReason | None] = [MissingReason.NO_METER] * count
    covered = bytearray(count)
    for first, last, quarters in parts:
        if not any(covered[first:last]):
            found[first:last] = quarters[first:last]
        else:
            for place in range(first, last):
                both = (found[place], quarters[place]) if covered[place] else (quarters[place],)
                found[place] = worst(both)
        covered[first:last] = b"\1" * (last - first)
    return found


def counted(quarters: Iterable[MissingReason | None]) -> Availability:
    """What quarter-hours that have passed come to."""
    counts = Counter(quarters)
    missing = Counter({reason: count for reason, count in counts.items() if reason is not None})
    return Availability(expected=counts.total(), available=counts[None], missing=missing)
