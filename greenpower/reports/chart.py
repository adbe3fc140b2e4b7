"""Bars of a chart: how high each is and where the lines of the scale are, for every form that draws. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor, log10

from greenpower.reports.report import Report

MAX_BARS = 40
MAX_LABEL_LENGTH = 28
STEPS = (1, 2, 2.5, 5, 10)
WANTED_LINES = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class BarChart:
    """A chart. values: None for what is not known. top, bottom: of the scale, with a line at each of `lines`."""

    title: str
    unit: str
    labels: Sequence[str]
    values: Sequence[float | None]
    bottom: float
    top: float
    lines: Sequence[float]

    def height(self, value: float) -> float:
        """How high a value is, 0 at the bottom and 1 at the top."""
        return (value - self.bottom) / (self.top - self.bottom)


def make_chart(title: str, unit: str, bars: Sequence[tuple[str, float | None]]) -> BarChart:
    """The chart of some bars, with a scale of round numbers that has 0 in it."""
    known = [value for _, value in bars if value is not None]
    low, high = min([0.0, *known]), max([0.0, *known])
    if low == high:
        high = 1.0
    raw = (high - low) / WANTED_LINES
    power = 10.0 ** floor(log10(raw))
    step = next(factor * power for factor in STEPS if factor * power >= raw * 0.999)
    first, last = floor(low / step + 1e-9), ceil(high / step - 1e-9)
    lines = [number * step for number in range(first, last + 1)]
    return BarChart(
        title=title,
        unit=unit,
        labels=[label for label, _ in bars],
        values=[value for _, value in bars],
        bottom=lines[0],
        top=lines[-1],
        lines=lines,
    )


def days_chart(report: Report) -> BarChart:
    """Consumption by day; the labels are the days of the month."""
    bars = [(day.day[8:10].lstrip("0"), day.energy) for day in report.days]
    return make_chart("Consumption by day", report.unit, bars)


def zones_chart(report: Report) -> BarChart | None:
    """Consumption by zone; None where no zone is known to have any."""
    bars = [(zone.name, zone.energy) for zone in report.zones if zone.energy is not None][:MAX_BARS]
    return make_chart("Consumption by zone", report.unit, bars) if bars else None


def line_text(value: float) -> str:
    """A number of a scale."""
    return f"{value:,.10g}".replace(",", " ")


def short(label: str, length: int = MAX_LABEL_LENGTH) -> str:
    """A label that fits beside a bar."""
    return label if len(label) <= length else f"{label[: length - 1]}…"
