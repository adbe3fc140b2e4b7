"""A plain interval ledger for tests: all slots in one dictionary, every answer a loop over them. And random slots."""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import pairwise
from typing import Any

from greenpower.measure.counter.hold import Hold
from greenpower.measure.slot import ESTIMATED, OPEN, SILENCE, UNSETTLED, Slot
from greenpower.mongo.energy.ledger_part import QUARTER, LedgerPart
from greenpower.mongo.energy.stretch import Stretch

TYPE = "meter"
DAY = timedelta(days=1)
NOW = datetime(2030, 1, 1, tzinfo=UTC)


def as_of(number: int) -> datetime:
    """The number-th run's `as_of`."""
    return NOW + timedelta(milliseconds=number)


def make_slot(start: datetime, energy: int = 1_000_000, **values: Any) -> Slot:
    """A slot with 3 samples, the last one a minute before its end."""
    at = start + QUARTER - timedelta(minutes=1, milliseconds=start.day)
    return Slot(**{"start": start, "energy": energy, "n": 3, "last": energy / 1e6, "last_at": at, **values})


def make_slots(begin: datetime, end: datetime, rnd: random.Random, share: float = 0.7) -> list[Slot]:
    """Slots of a stretch: this share of all quarter-hours, with anything in them."""
    found = []
    here = begin
    while here < end:
        if rnd.random() < share:
            at = here + timedelta(milliseconds=rnd.randrange(900_000))
            silence = rnd.choice((0, 0, 0, rnd.randrange(10**7)))
            flags = rnd.choice((0, 0, UNSETTLED, OPEN)) | (SILENCE if silence else 0)
            n = rnd.choice((0, 1, 30))
            found.append(
                Slot(
                    start=here,
                    energy=rnd.randrange(-(10**6), 10**12) if n else rnd.randrange(1, 10**6),
                    n=n,
                    silence_s=silence,
                    flags=flags,
                    last=rnd.randrange(10**9) / 1000 if n else None,
                    last_at=at if n else None,
                )
            )
        here += QUARTER
    return found


def make_hold(at: datetime) -> Hold:
    """A fall that began at a time."""
    return Hold(level=100, at=at - DAY, since=at, typical=0.5, near=True, pending=Fraction(1, 4), steps=1, unit=False)


class PlainLedger:
    """The slots of the counters of devices: {(device, field): {start: slot}}."""

    def __init__(self) -> None:
        self.slots: dict[tuple[str, str], dict[datetime, Slot]] = {}

    def put(self, part: LedgerPart) -> None:
        """As an exact part."""
        there = self.slots.setdefault((part.device, part.field), {})
        for start in [start for start in there if part.begin <= start < part.end]:
            del there[start]
        there.update({slot.start: slot for slot in part.slots})

    def stretches(self, device: str, field: str, boundaries: Sequence[datetime]) -> list[Stretch]:
        """Plain sums, with the start of the quarter-hour as first_at."""
        slots = sorted(self.slots.get((device, field), {}).values(), key=lambda slot: slot.start)
        found = []
        for begin, end in pairwise(boundaries):
            stretch = Stretch()
            for slot in slots:
                if begin <= slot.start < end:
                    stretch.add_slot(slot)
            found.append(stretch)
        return found

    def register_before(self, device: str, field: str, time: datetime) -> tuple[float, datetime] | None:
        """The last sample of the slots before a time."""
        slots = [s for s in self.slots.get((device, field), {}).values() if s.start < time and s.last_at is not None]
        newest = max(slots, key=lambda slot: slot.start, default=None)
        if newest is None:
            return None
        assert newest.last is not None and newest.last_at is not None
        return float(newest.last), newest.last_at


def estimated(slots: Iterable[Slot]) -> list[Slot]:
    """The slots as buckets give them."""
    return [replace(slot, flags=slot.flags | ESTIMATED) for slot in slots]
