"""Groups of stretches: what a counter counted in stretches that need to be known together only, such as those of one
rate in one bucket. Pure.

What belongs here: which slots of a document make which group, and adding them up. What does not: reading documents
(`ledger_read`), which stretches make a group (`greenpower.energy.cost`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from greenpower.mongo.energy.ledger_plan import SlotRange, plan_documents
from greenpower.mongo.energy.slot_columns import COUNT_BYTES, ENERGY_BYTES, NOTHING, integers_of

GroupRange = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class EnergyGroups:
    """What a counter counted in each group of stretches. energy: counts. counted: whether anything is known of it."""

    energy: list[int]
    counted: list[bool]

    @classmethod
    def empty(cls, count: int) -> EnergyGroups:
        """So many groups without anything."""
        return cls([0] * count, [False] * count)

    def add(self, group: int, energy: int, counted: bool) -> None:
        """Add a stretch."""
        self.energy[group] += energy
        if counted:
            self.counted[group] = True

    def add_slots(self, packed: Mapping[str, bytes], ranges: Sequence[GroupRange]) -> None:
        """Add slots of a document of the ledger."""
        stored = packed["energy"]
        energies = integers_of(len(stored) // ENERGY_BYTES).unpack(stored)
        for group, begin, end in ranges:
            energy = sum(energies[begin:end])
            self.energy[group] += energy
            if not self.counted[group]:
                samples = packed["n"][begin * COUNT_BYTES : end * COUNT_BYTES]
                self.counted[group] = bool(energy or samples.strip(NOTHING))


@dataclass(frozen=True, slots=True)
class GroupPlan:
    """Of each document of the ledger, by its day or month, which slots are in which group."""

    days: Mapping[datetime, Sequence[GroupRange]]
    months: Mapping[datetime, Sequence[GroupRange]]


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupedCuts:
    """Stretches, and the group of each. cuts: aware, ascending, on quarter-hours. numbers: one less, below `count`."""

    cuts: Sequence[datetime]
    numbers: Sequence[int]
    count: int

    def plan(self, until: datetime) -> GroupPlan:
        """What to read of them up to a time, which lies after the first cut."""
        found = plan_documents([*(cut for cut in self.cuts if cut < until), until])
        days, months = (
            {at: self._merged(ranges) for at, ranges in wanted.items()} for wanted in (found.days, found.months)
        )
        return GroupPlan(days, months)

    def _merged(self, parts: Sequence[SlotRange]) -> list[GroupRange]:
        """The ranges of a document as (group, begin, end); neighbours of one group are one."""
        found: list[GroupRange] = []
        for part in parts:
            group = self.numbers[part.stretch]
            if found and found[-1][0] == group and found[-1][2] == part.begin:
                found[-1] = (group, found[-1][1], part.end)
            else:
                found.append((group, part.begin, part.end))
        return found
