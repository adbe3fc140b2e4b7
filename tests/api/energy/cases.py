"""Inputs by which systems of this kind were seen to go wrong, with the right answers, and variations of each.

Made anew from public reports of people who run such systems; each says which kind it stands for. What belongs here: the
series and their totals by hand. What does not: the rules that give them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from tests.measure.plain_series import Number, Sample


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Registers at even steps. total: what they count. ordinary: a step of the meter where nothing happens.

    open: kinds of the incidents that an operator should see. field: where the case needs one of its own. alone: nothing
    comes before it, since the case is about the beginning. same_size: not for other sizes.
    """

    name: str
    values: tuple[Number, ...]
    total: str
    ordinary: str
    open: tuple[str, ...] = ()
    field: str = "zygsz"
    alone: bool = False
    same_size: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Variation:
    """The same kind in another form.

    factor: of all registers. every: seconds between samples. start: after a midnight. before, after: ordinary samples
    around the case. field: another one where the case does not need its own.
    """

    name: str
    factor: str = "1"
    every: int = 900
    start: timedelta = timedelta()
    before: int = 0
    after: int = 0
    field: str | None = None


CASES = (
    Case(name="one_zero", values=(3.737, 3.737, 0.0, 3.746, 3.75), total="0.013", ordinary="0.004"),
    Case(
        name="one_high_sample",
        values=(354.8, 355.0, 3552.0, 355.4, 355.6, 355.8, 356.0),
        total="1.2",
        ordinary="0.2",
    ),
    Case(
        name="first_sample_wrong",
        values=(9999.0, 101.0, 101.5, 102.0, 102.5, 103.0),
        total="2",
        ordinary="0.5",
        alone=True,
    ),
    Case(
        name="zeros_for_hours",
        values=(3500.0, 3500.5, 0, 0, 0, 0, 0, 0, 3502.0, 3502.5, 3503.0),
        total="3",
        ordinary="0.5",
    ),
    Case(
        name="falls_a_little_at_reboot",
        values=(544.587493, 544.587493, *(544.587,) * 6, 544.6, 544.61),
        total="0.023",
        ordinary="0.01",
    ),
    Case(
        name="daily_register_bounces_at_midnight",
        values=(6.1, 6.3, 0.0, 6.3, 0.1, 0.2, 0.3, 0.4),
        total="0.6",
        ordinary="0.2",
    ),
    Case(
        name="another_meter_without_a_word",
        values=(5423.7, 5423.9, 31.2, 31.3, 31.4, 31.5, 31.6),
        total="0.6",
        ordinary="0.1",
        open=("suspect_restart",),
    ),
    Case(
        name="rolls_over_undeclared",
        values=(838.8, 838.84, 0.01, 0.05, 0.1, 0.15),
        total="0.19",
        ordinary="0.04",
    ),
    Case(
        name="rolls_over_declared",
        values=(838.8, 838.84, 0.01, 0.05, 0.1, 0.15),
        total="0.2107",
        ordinary="0.04",
        field="fwgsz",
        same_size=True,
    ),
    Case(
        name="from_kwh_to_wh",
        values=(12.5, 12.6, 12.7, 12800, 12900, 13000, 13100),
        total="0.2",
        ordinary="0.1",
        open=("unit_change",),
    ),
)
VARIATIONS = (
    Variation(name="as it was reported"),
    Variation(name="seven times as large", factor="7", field="zszsz"),
    Variation(name="every five minutes, later in the day", every=300, start=timedelta(hours=9, minutes=10)),
    Variation(name="across a midnight", start=timedelta(hours=23, minutes=35, seconds=7), field="zwgsz"),
    Variation(name="every hour, within a longer series", every=3600, before=30, after=20),
    Variation(name="a third of it, among many", factor="0.3", before=100, after=100, field="pos_en_b"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A case in one of its forms. total: of all its samples."""

    case: Case
    variation: Variation
    field: str
    samples: tuple[Sample, ...]
    total: Decimal

    @property
    def device(self) -> str:
        return f"{self.case.name}-{VARIATIONS.index(self.variation)}"


def play_case(case: Case, variation: Variation, midnight: datetime) -> Played:
    """The samples of a case in a form."""
    factor = Decimal(1) if case.same_size else Decimal(variation.factor)
    step = Decimal(case.ordinary)
    core = [Decimal(repr(value)) for value in case.values]
    # A unit that changed goes on in steps of the new one, and counts nothing until somebody decides.
    later = core[-1] - core[-2] if "unit_change" in case.open else step
    before = 0 if case.alone else min(variation.before, int(core[0] / step))
    registers = [
        *(core[0] - step * number for number in range(before, 0, -1)),
        *core,
        *(core[-1] + later * number for number in range(1, variation.after + 1)),
    ]
    counted = Decimal(case.total) + step * (before + (0 if "unit_change" in case.open else variation.after))
    start = midnight + variation.start
    return Played(
        case=case,
        variation=variation,
        field=case.field if case.field != "zygsz" else variation.field or case.field,
        samples=tuple(
            (start + timedelta(seconds=variation.every * number), float(register * factor))
            for number, register in enumerate(registers)
        ),
        total=counted * factor,
    )


def all_played(midnight: datetime) -> Iterator[Played]:
    """Every case in every form."""
    for case in CASES:
        for variation in VARIATIONS:
            yield play_case(case, variation, midnight)
