"""Stretches: what a counter of one device counted between two times. Pure.

The interval ledger and the readings after it both give them, so that one function adds them up. What does not belong
here: reading them (`ledger`, `consumption`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import NamedTuple

from bson import ObjectId

from greenpower.measure.slot import Slot
from greenpower.measure.state import Number
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.mongo.energy.energy_groups import EnergyGroups


@dataclass(slots=True, kw_only=True)
class Stretch:
    """A stretch of time of one counter.

    energy: counts, whole millionths of the unit. samples: accepted ones. silence_s: seconds of silence that the energy
    includes. flags: any of its quarter-hours. first_at: time of the first accepted sample, or the start of its
    quarter-hour. last, last_at: the last accepted sample. resolution: seconds of the coarsest bucket that it was made
    from, None where it is exact. corrections: those that it has to do with. given: whether one of them gives its
    energy, with or without a sample; estimated: by a guess; uncertain: one that is to be evaluated again.
    """

    energy: int = 0
    samples: int = 0
    silence_s: int = 0
    flags: int = 0
    first_at: datetime | None = None
    last: Number | None = None
    last_at: datetime | None = None
    resolution: int | None = None
    corrections: tuple[ObjectId, ...] = ()
    given: bool = False
    estimated: bool = False
    uncertain: bool = False

    @property
    def counted(self) -> bool:
        """Whether anything was counted, be it nothing at all: without a sample the energy is not known."""
        return bool(self.samples or self.energy or self.given)

    def add(self, later: Stretch) -> None:
        """Add a stretch that follows."""
        self.energy += later.energy
        self.samples += later.samples
        self.silence_s += later.silence_s
        self.flags |= later.flags
        if self.first_at is None:
            self.first_at = later.first_at
        if later.last_at is not None:
            self.last, self.last_at = later.last, later.last_at
        if later.resolution is not None:
            self.resolution = max(self.resolution or 0, later.resolution)

    def add_slot(self, slot: Slot) -> None:
        """Add a quarter-hour that follows."""
        self.energy += slot.energy
        self.samples += slot.n
        self.silence_s += slot.silence_s
        self.flags |= slot.flags
        if slot.last_at is not None:
            if self.first_at is None:
                self.first_at = slot.start
            self.last, self.last_at = slot.last, slot.last_at


class RegisterReading(NamedTuple):
    """A register: its value in the field's unit, and the time of the accepted sample that showed it. value: None for a
    delta, of which only the time of the last message is known."""

    value: Number | None
    at: datetime


@dataclass(slots=True, kw_only=True)
class DeviceEnergy:
    """What a device counted. before: its register before the first boundary. stretches: one between each two.

    corrections: those in force that any of the stretches has to do with. groups: where groups of other stretches were
    asked for.
    """

    stretches: list[Stretch]
    before: RegisterReading | None = None
    corrections: Sequence[CorrectionDocument] = ()
    groups: EnergyGroups | None = None


def cut_slots(slots: Iterable[Slot], boundaries: Sequence[datetime]) -> list[Stretch]:
    """Slots in order of time as stretches between boundaries, which lie on quarter-hours; one less than there are
    boundaries. Slots before the first and from the last boundary on are left out."""
    stretches = [Stretch() for _ in pairwise(boundaries)]
    place = 0
    for slot in slots:
        if slot.start < boundaries[0]:
            continue
        while place < len(stretches) and slot.start >= boundaries[place + 1]:
            place += 1
        if place == len(stretches):
            break
        stretches[place].add_slot(slot)
    return stretches
