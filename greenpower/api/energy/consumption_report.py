"""The answer of `consumption/`, made from what was counted between the boundaries of calendar buckets. Pure.

What belongs here: rows, sums and what is said of them. What does not: where boundaries could not be kept
(`moved_boundaries`), reading.
"""

from __future__ import annotations

from collections.abc import Collection as AnyOf
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

from bson import ObjectId

from greenpower.energy.calendar import Unit, label, local_text
from greenpower.energy.measured_stretch import MeasuredStretch, StretchMeasure
from greenpower.measure.slot import COUNTS_PER_UNIT
from greenpower.mongo.client import Document
from greenpower.mongo.corrections.document import CorrectionDocument
from greenpower.mongo.energy.pending import PendingHours
from greenpower.mongo.energy.stretch import DeviceEnergy, RegisterReading, Stretch

# Of a correction, beside its id.
NAMED_KEYS = ("kind", "type", "device_id", "field", "begin", "end", "reason", "made_by", "made_at")


@dataclass(frozen=True, slots=True, kw_only=True)
class EnergyReport:
    """What an answer is made of.

    found: by device, one stretch between each two boundaries. boundaries: of the calendar, at least two. pending: the
    hours that will be computed again. falls: by device, the time of a fall that is still open.
    """

    found: Mapping[str, DeviceEnergy]
    boundaries: Sequence[datetime]
    unit: Unit
    zone: ZoneInfo
    now: datetime
    pending: PendingHours
    falls: Mapping[str, datetime]

    def make(self) -> dict[str, Any]:
        """The rows of each device, their sums over devices, and the totals."""
        buckets = list(pairwise(self.boundaries))
        names = [label(start, self.unit, self.zone) for start, _ in buckets]
        local = [local_text(boundary, self.zone) for boundary in self.boundaries]
        devices = []
        measure = StretchMeasure(boundaries=self.boundaries, pending=self.pending, now=self.now)
        sums = [_Sum(over=measure.is_over(end)) for _, end in buckets]
        whole = _Sum(over=measure.is_over(self.boundaries[-1]))
        for device, energy in self.found.items():
            rows = self._rows(measure.measure(device, energy, self.falls.get(device)), names)
            total = _Sum(over=whole.over)
            for row, stretch, sum_of_devices in zip(rows, energy.stretches, sums, strict=True):
                sum_of_devices.add_device(stretch, row)
                total.add_next(stretch, row)
            whole.add_total(total)
            devices.append({"device_id": device, **total.totals(), "results": rows})
        results = [
            {"bucket": name, "start": start, "end": end, **sum_of_devices.row()}
            for name, (start, end), sum_of_devices in zip(names, pairwise(local), sums, strict=True)
        ]
        return {
            "bucket": self.unit.value,
            "tz": self.zone.key,
            "start": local[0],
            "end": local[-1],
            **whole.totals(),
            "results": results,
            "devices": devices,
            "corrections": [named_correction(item) for energy in self.found.values() for item in energy.corrections],
        }

    def _rows(self, measured: Sequence[MeasuredStretch], names: Sequence[str]) -> list[Document]:
        return [
            {
                "bucket": name,
                "energy": item.stretch.energy / COUNTS_PER_UNIT if item.stretch.counted else None,
                "samples": item.stretch.samples,
                "coverage": item.coverage,
                "first": _register(item.before),
                "last": _register(item.after),
                "silence_s": item.stretch.silence_s,
                "undecided": item.undecided,
                "final": item.final,
                **_reasons(item.stretch.corrections, estimated=item.stretch.estimated),
            }
            for name, item in zip(names, measured, strict=True)
        ]


@dataclass(slots=True)
class _Sum:
    """A sum of stretches: of one device one after the other, or of devices at the same time."""

    over: bool
    energy: int = 0
    samples: int = 0
    silence_s: int = 0
    counted: bool = False
    undecided: bool = False
    final: bool = True
    coverage: float | None = None
    corrections: dict[ObjectId, None] = field(default_factory=dict)
    estimated: bool = False

    def add_next(self, stretch: Stretch, row: Document) -> None:
        """Add what the same device counted next."""
        self._add(stretch.energy, stretch.samples, stretch.counted, row["undecided"], row["final"])
        self._add_reasons(stretch.corrections, estimated=stretch.estimated)
        self.silence_s += stretch.silence_s

    def add_device(self, stretch: Stretch, row: Document) -> None:
        """Add what another device counted at the same time: coverage, silence and finality are those of the worst."""
        self._add(stretch.energy, stretch.samples, stretch.counted, row["undecided"], row["final"])
        self._add_reasons(stretch.corrections, estimated=stretch.estimated)
        self.silence_s = max(self.silence_s, stretch.silence_s)
        self.coverage = row["coverage"] if self.coverage is None else min(self.coverage, row["coverage"])

    def add_total(self, other: _Sum) -> None:
        """Add another device's total."""
        self._add(other.energy, other.samples, other.counted, other.undecided, other.final)
        self._add_reasons(other.corrections, estimated=other.estimated)
        self.silence_s = max(self.silence_s, other.silence_s)

    def _add(self, energy: int, samples: int, counted: bool, undecided: bool, final: bool) -> None:
        self.energy += energy
        self.samples += samples
        self.counted |= counted
        self.undecided |= undecided
        self.final &= final

    def _add_reasons(self, corrections: Iterable[ObjectId], *, estimated: bool) -> None:
        if corrections:
            self.corrections.update(dict.fromkeys(corrections))
            self.estimated |= estimated

    def row(self) -> Document:
        """As a row of the sums over devices."""
        return {
            "energy": self._value(),
            "samples": self.samples,
            "coverage": self.coverage or 0.0,
            **self._remarks(),
        }

    def totals(self) -> Document:
        """As a total."""
        return {"total": self._value(), **self._remarks()}

    def _value(self) -> float | None:
        return self.energy / COUNTS_PER_UNIT if self.counted else None

    def _remarks(self) -> Document:
        return {
            "silence_s": self.silence_s,
            "undecided": self.undecided,
            "final": self.final and self.over,
            **_reasons(self.corrections, estimated=self.estimated),
        }


def named_correction(correction: CorrectionDocument) -> Document:
    """A correction as an answer names it: what was done, by whom, when and why."""
    return {
        "id": str(correction["_id"]),
        **{name: correction[name] for name in NAMED_KEYS},  # type: ignore[literal-required]
    }


def _reasons(corrections: AnyOf[ObjectId], *, estimated: bool) -> Document:
    """What is said of a number that corrections have changed; of any other, nothing."""
    if not corrections:
        return {}
    return {"corrected": True, "estimated": estimated, "corrections": [str(name) for name in corrections]}


def _register(reading: RegisterReading | None) -> Document | None:
    return None if reading is None or reading.value is None else {"at": reading.at, "value": reading.value}
