"""What meter points counted between boundaries, from the interval ledger and the readings after it.

What belongs here: which counters are read, and putting their stretches together. What does not: reading a counter
(`greenpower.mongo.energy`), what is made of amounts (`balance`, `cost`, `demand`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from itertools import pairwise

from pymongo.database import Database

from greenpower.catalog.registry import Registry
from greenpower.config import Settings
from greenpower.energy.amount import Amount, per_count, slices_between, sum_next
from greenpower.energy.measured_stretch import MeasuredStretch, StretchMeasure
from greenpower.energy.point import Point, PointPart
from greenpower.measure.windows import done_before
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.mongo.energy.energy_groups import EnergyGroups, GroupedCuts


@dataclass(frozen=True, slots=True, kw_only=True)
class PointEnergy:
    """What points counted. amounts: by the number of the point, one between each two boundaries. corrections: those
    that have changed any of them. sums: where groups were asked for, by counter: type, device, field."""

    amounts: Mapping[int, Sequence[Amount]]
    corrections: Sequence[CorrectionDocument]
    sums: Mapping[tuple[str, str, str], EnergyGroups]


@dataclass(frozen=True, slots=True, kw_only=True)
class PointCounter:
    """A counter of a type, and what is read of it. key: type and field. cuts: the boundaries, and where parts begin and
    end."""

    key: tuple[str, str]
    reader: EnergyReader
    devices: Sequence[str]
    cuts: Sequence[datetime]
    unit: str


class PointReader:
    """Reads some points between boundaries. Its methods raise PyMongoError.

    boundaries: aware, ascending, on quarter-hours. Of a part whose type is not installed nothing is known: the coverage
    of its point is 0.
    """

    def __init__(
        self,
        db: Database[Document],
        registry: Registry,
        settings: Settings,
        points: Iterable[Point],
        boundaries: Sequence[datetime],
        now: datetime,
    ) -> None:
        self.points = tuple(points)
        self.boundaries = boundaries
        self.now = now
        parts: defaultdict[tuple[str, str], list[PointPart]] = defaultdict(list)
        for point in self.points:
            for part in point.parts:
                parts[part.type, part.field].append(part)
        self._counters: dict[tuple[str, str], PointCounter] = {}
        for (type_name, field), several in parts.items():
            datatype = registry.get(type_name)
            units = {} if datatype is None else {item.name: item.unit for item in datatype.fields}
            if datatype is None or field not in units:
                continue
            self._counters[type_name, field] = PointCounter(
                key=(type_name, field),
                reader=EnergyReader.open(db, datatype, settings, field, now),
                devices=sorted({part.device_id for part in several}),
                cuts=self._cuts(several),
                unit=units[field],
            )

    def _cuts(self, parts: Iterable[PointPart]) -> list[datetime]:
        ends = {time for part in parts for time in (part.begins_at, part.ends_at) if time is not None}
        inside = {time for time in ends if self.boundaries[0] < time < self.boundaries[-1]}
        return sorted({*self.boundaries, *inside})

    def count_documents(self, fine: Sequence[datetime] = ()) -> int:
        """How many documents of the ledger may have to be read. fine: between other cuts than the boundaries."""
        return sum(item.reader.count_documents(item.devices, fine or item.cuts) for item in self._counters.values())

    def count_readings(self, limit: int) -> int:
        """How many readings have to be rolled, counted up to a limit for each counter."""
        return sum(item.reader.count_readings(item.devices, item.cuts, limit) for item in self._counters.values())

    def leave_out_recent(self) -> None:
        """Tell only what the ledgers have: there are too many readings after them. Nothing after them is final."""
        self._counters = {
            key: replace(item, reader=item.reader.without_recent()) for key, item in self._counters.items()
        }

    @property
    def watermark(self) -> datetime | None:
        """Up to where the ledgers of all counters are made; None where one has not been begun."""
        marks = [item.reader.watermark for item in self._counters.values()]
        return None if None in marks else min((mark for mark in marks if mark is not None), default=None)

    def parts_by_counter(self) -> Iterator[tuple[PointCounter, list[tuple[Point, PointPart]]]]:
        """Each counter that is installed, and the parts of points that it is."""
        for key, counter in self._counters.items():
            yield (
                counter,
                [(point, part) for point in self.points for part in point.parts if (part.type, part.field) == key],
            )

    def read(self, grouped: Mapping[tuple[str, str], GroupedCuts] | None = None) -> PointEnergy:
        """What the points counted. grouped: by type and field, groups of other stretches with the same ends, to be
        added up from the same documents."""
        measured: dict[tuple[str, str, str], list[MeasuredStretch]] = {}
        sums: dict[tuple[str, str, str], EnergyGroups] = {}
        corrections: dict[object, CorrectionDocument] = {}
        for (type_name, field), item in self._counters.items():
            # What is pending is read first: what is computed again in between is not called final by mistake.
            pending = item.reader.read_pending(item.devices, item.cuts)
            found = item.reader.read(item.devices, item.cuts, (grouped or {}).get((type_name, field)))
            falls = item.reader.read_open_falls(item.devices, item.cuts[-1])
            unknown_from = item.reader.unknown_from
            measure = StretchMeasure(boundaries=item.cuts, pending=pending, now=self.now, unknown_from=unknown_from)
            for device, energy in found.items():
                measured[type_name, device, field] = measure.measure(device, energy, falls.get(device))
                corrections.update((correction["_id"], correction) for correction in energy.corrections)
                if energy.groups is not None:
                    sums[type_name, device, field] = energy.groups
        return PointEnergy(
            amounts={point.number: self._amounts(point, measured) for point in self.points},
            corrections=list(corrections.values()),
            sums=sums,
        )

    def _amounts(
        self, point: Point, measured: Mapping[tuple[str, str, str], Sequence[MeasuredStretch]]
    ) -> list[Amount]:
        if (alone := self._amounts_of_one(point, measured)) is not None:
            return alone
        amounts = [Amount(final=end <= done_before(self.now, None)) for end in self.boundaries[1:]]
        for part in point.parts:
            counter = self._counters.get((part.type, part.field))
            factor = None if counter is None else per_count(counter.unit, point.carrier.unit)
            if counter is None or factor is None:
                for amount, (begin, end) in zip(amounts, pairwise(self.boundaries), strict=True):
                    amount.add_beside(Amount(passed_s=_seconds(begin, min(end, self.now)), final=amount.final))
                continue
            stretches = measured[part.counter]
            for amount, between in zip(amounts, slices_between(self.boundaries, counter.cuts), strict=True):
                several = [
                    Amount.measured(
                        stretches[place],
                        _seconds(counter.cuts[place], min(counter.cuts[place + 1], self.now)),
                        factor,
                    )
                    for place in range(between.start, between.stop)
                    if part.covers(counter.cuts[place])
                ]
                if several:
                    amount.add_beside(sum_next(several), part.sign)
        return amounts

    def _amounts_of_one(
        self, point: Point, measured: Mapping[tuple[str, str, str], Sequence[MeasuredStretch]]
    ) -> list[Amount] | None:
        """The amounts of a point that is one counter all the time, as most are: those of the counter. Else None."""
        if len(point.parts) != 1 or point.parts[0].sign != 1:
            return None
        [part] = point.parts
        counter = self._counters.get((part.type, part.field))
        factor = None if counter is None else per_count(counter.unit, point.carrier.unit)
        if counter is None or factor is None or len(counter.cuts) != len(self.boundaries):
            return None
        if not all(map(part.covers, self.boundaries[:-1])):
            return None
        pairs = zip(measured[part.counter], self._passed_s, strict=True)
        return [Amount.measured(stretch, passed_s, factor) for stretch, passed_s in pairs]

    @cached_property
    def _passed_s(self) -> list[float]:
        """Of each stretch between boundaries the seconds that have passed."""
        return [_seconds(begin, min(end, self.now)) for begin, end in pairwise(self.boundaries)]


def _seconds(begin: datetime, end: datetime) -> float:
    return max(0.0, (end - begin).total_seconds())
