"""A report: all that it says, as one value. Pure; nothing is computed here but shares and changes for showing.

Amounts of money and CO2 are exact decimal numbers, as texts; energies are as the API answers them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

# Instead of a number that is not known.
UNKNOWN_TEXT = "\u2013"


class CostsOf(StrEnum):
    """Whose costs are added up: what is bought and sold at the grid, or where that is not measured, all points'."""

    GRID = "grid"
    ALL = "all"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportValue:
    """An energy and what it is compared with. None: not known. previous: of the period before; year_ago: of the same
    month a year before, or of the week 52 weeks before."""

    value: float | None
    previous: float | None = None
    year_ago: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportMoney:
    """A cost in a currency. adjustment: what is known now less this, where closed figures are in it."""

    currency: str
    amount: str
    rounded: str
    previous: str | None
    year_ago: str | None
    adjustment: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPeak:
    """The highest average power over a quarter of an hour, of one meter point. start: local time."""

    point: str
    power: float
    unit: str
    start: str
    previous: float | None
    final: bool
    undecided: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportDay:
    """The consumption of a local day."""

    day: str
    energy: float | None
    final: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportZone:
    """The consumption of a service zone. share: of that of the whole report."""

    name: str
    energy: float | None
    previous: float | None
    share: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportPoint:
    """A meter point, with how good its energy is. available: percent of the quarter-hours; None: not known. cost:
    rounded, with its currency."""

    name: str
    role: str
    zone: str
    energy: float | None
    available: float | None
    silence_s: int
    undecided: bool
    estimated: bool
    final: bool
    adjustment: float | None
    cost: str | None
    kg: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportHonesty:
    """How good the figures are. available: percent of the quarter-hours of all points. silence_s: seconds of silence
    whose energy is in figures, of all points. undecided, estimated: names of points. adjustments: a line for each
    closed month that differs from what is known now. final: whether nothing is expected to change. left_out: what could
    not be told, and why."""

    final: bool
    available: float | None
    silence_s: int
    undecided: Sequence[str]
    estimated: Sequence[str]
    corrections: int
    adjustments: Sequence[str]
    closed: Sequence[str]
    left_out: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """A report. unit_name: `week` or `month`. name: 2026-10 or 2026-W44. scope: name of the service zone, "" for the
    whole site. start, end: local times. solar_share: of the consumption, 0 to 1."""

    unit_name: str
    name: str
    scope: str
    carrier: str
    unit: str
    tz: str
    start: str
    end: str
    made_at: str
    consumption: ReportValue
    unmetered: ReportValue
    roles: dict[str, float | None]
    solar_used: float | None
    solar_share: float | None
    self_sufficiency: float | None
    peaks: Sequence[ReportPeak]
    costs_of: CostsOf
    costs: Sequence[ReportMoney]
    kg: str | None
    kg_previous: str | None
    kg_year_ago: str | None
    days: Sequence[ReportDay]
    zones: Sequence[ReportZone]
    points: Sequence[ReportPoint]
    honesty: ReportHonesty

    @property
    def title(self) -> str:
        """What stands above it."""
        return f"Energy report {self.name}: {self.scope or 'whole site'}"

    @property
    def is_empty(self) -> bool:
        """Whether there is no meter point to tell of."""
        return not self.points

    def document(self) -> dict[str, Any]:
        """As the API answers it."""
        return {"title": self.title, **asdict(self)}


def change_text(value: float | str | None, before: float | str | None) -> str:
    """By how much a value changed, such as `+4.2 %`; empty where that says nothing."""
    if value is None or before is None or not float(before):
        return ""
    return f"{(float(value) - float(before)) / abs(float(before)) * 100:+.1f} %"


def number_text(value: float | str | None, digits: int = 1) -> str:
    """A number for people, such as `1 234.5`; a dash where it is not known."""
    if value is None:
        return UNKNOWN_TEXT
    text = f"{float(value):,.{digits}f}"
    return ("0" + text[2:] if float(text.replace(",", "")) == 0 and text.startswith("-") else text).replace(",", " ")


def percent_text(part: float | None) -> str:
    """A part as percent."""
    return UNKNOWN_TEXT if part is None else f"{part * 100:.1f} %"


def duration_text(seconds: int) -> str:
    """Seconds as hours and minutes."""
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"
