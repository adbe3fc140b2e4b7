"""The tables of a report, the same for every form. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from greenpower.reports.report import (
    CostsOf,
    Report,
    ReportHonesty,
    change_text,
    duration_text,
    number_text,
    percent_text,
)

Cell = str | float | Decimal | None


class CellKind(StrEnum):
    """What a column has. CHANGE: a text that stands where numbers do."""

    TEXT = "text"
    CHANGE = "change"
    NUMBER = "number"
    PERCENT = "percent"


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportColumn:
    """A column. width: as a part of the others."""

    heading: str
    kind: CellKind = CellKind.TEXT
    width: float = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportTable:
    """A table. total: a row below it with the sum of its energies. empty: what stands there instead of no rows."""

    title: str
    columns: Sequence[ReportColumn]
    rows: Sequence[Sequence[Cell]]
    empty: str = ""


def cell_text(cell: Cell, kind: CellKind) -> str:
    """A cell as text."""
    if kind is CellKind.PERCENT:
        return percent_text(None if cell is None else float(cell))
    if kind is CellKind.NUMBER:
        return number_text(None if cell is None else float(cell), _digits(cell))
    return "" if cell is None else str(cell)


def _digits(cell: Cell) -> int:
    """Decimals that are shown: of exact numbers those that they have, up to two."""
    if not isinstance(cell, Decimal):
        return 1
    exponent = cell.as_tuple().exponent
    return min(2, max(0, -exponent)) if isinstance(exponent, int) else 1


def summary_table(report: Report) -> ReportTable:
    """The most important figures, with what they are compared with."""
    before, ago = ("Month before", "Year ago") if report.unit_name == "month" else ("Week before", "52 weeks ago")
    changed, number = CellKind.CHANGE, CellKind.NUMBER
    columns = (
        ReportColumn(heading="Figure", width=2.6),
        ReportColumn(heading="Unit", width=0.9),
        ReportColumn(heading="Value", kind=number, width=1.3),
        ReportColumn(heading=before, kind=number, width=1.4),
        ReportColumn(heading="Change", kind=changed, width=1.1),
        ReportColumn(heading=ago, kind=number, width=1.4),
        ReportColumn(heading="Change", kind=changed, width=1.1),
    )
    return ReportTable(title="Summary", columns=columns, rows=list(_summary(report)))


def _summary(report: Report) -> Iterator[Sequence[Cell]]:
    used = report.consumption
    yield _compared("Consumption", report.unit, used.value, used.previous, used.year_ago)
    if report.unmetered.value is not None:
        yield _compared("Not metered by any load", report.unit, report.unmetered.value, None, None)
    for cost in report.costs:
        whole = Decimal(cost.rounded)
        before, ago = (_like(text, whole) for text in (cost.previous, cost.year_ago))
        name = "Cost of the grid connection" if report.costs_of is CostsOf.GRID else "Cost of all meter points"
        yield _compared(name, cost.currency, whole, before, ago)
    if report.kg is not None:
        yield _compared("CO2", "kg", *map(_decimal, (report.kg, report.kg_previous, report.kg_year_ago)))
    for peak in report.peaks:
        yield _compared(
            f"Peak of {peak.point}, {peak.start[:16].replace('T', ' ')}", peak.unit, peak.power, peak.previous, None
        )
    if report.solar_used is not None:
        yield _compared("Solar energy used here", report.unit, report.solar_used, None, None)
        yield _compared("Solar share of consumption", "%", _hundred(report.solar_share), None, None)
    if report.self_sufficiency is not None:
        yield _compared("Not from the grid", "%", _hundred(report.self_sufficiency), None, None)


def _compared(
    name: str, unit: str, value: float | Decimal | None, before: float | Decimal | None, ago: float | Decimal | None
) -> Sequence[Cell]:
    changes = [
        change_text(None if value is None else float(value), None if other is None else float(other))
        for other in (before, ago)
    ]
    return name, unit, value, before, changes[0], ago, changes[1]


def _decimal(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)


def _like(text: str | None, other: Decimal) -> Decimal | None:
    """A number with as many decimals as another."""
    return None if text is None else Decimal(text).quantize(other)


def _hundred(part: float | None) -> float | None:
    return None if part is None else part * 100


def days_table(report: Report) -> ReportTable:
    """The consumption by day."""
    columns = (
        ReportColumn(heading="Day", width=1.5),
        ReportColumn(heading=f"Consumption ({report.unit})", kind=CellKind.NUMBER),
        ReportColumn(heading="Final"),
    )
    rows = [(day.day, day.energy, "yes" if day.final else "not yet") for day in report.days]
    return ReportTable(title="Days", columns=columns, rows=rows)


def zones_table(report: Report) -> ReportTable:
    """The zones, ranked."""
    columns = (
        ReportColumn(heading="Zone", width=3),
        ReportColumn(heading=f"Consumption ({report.unit})", kind=CellKind.NUMBER, width=1.6),
        ReportColumn(heading="Share", kind=CellKind.PERCENT),
        ReportColumn(heading=f"{report.unit_name.capitalize()} before", kind=CellKind.NUMBER, width=1.4),
        ReportColumn(heading="Change", kind=CellKind.CHANGE),
    )
    rows = [
        (zone.name, zone.energy, zone.share, zone.previous, change_text(zone.energy, zone.previous))
        for zone in report.zones
    ]
    return ReportTable(title="Zones by consumption", columns=columns, rows=rows, empty="There are no service zones.")


def points_table(report: Report) -> ReportTable:
    """The meter points, with how good their figures are."""
    columns = (
        ReportColumn(heading="Meter point", width=3),
        ReportColumn(heading="Role", width=1.3),
        ReportColumn(heading="Zone", width=1.6),
        ReportColumn(heading=f"Energy ({report.unit})", kind=CellKind.NUMBER, width=1.5),
        ReportColumn(heading="Cost", width=1.5),
        ReportColumn(heading="CO2 (kg)", kind=CellKind.NUMBER, width=1.1),
        ReportColumn(heading="Data", kind=CellKind.PERCENT, width=1.0),
        ReportColumn(heading="Notes", width=1.9),
    )
    rows = [
        (
            point.name,
            point.role.replace("_", " "),
            point.zone,
            point.energy,
            point.cost or "",
            _decimal(point.kg),
            None if point.available is None else point.available / 100,
            ", ".join(
                note
                for note, holds in (
                    ("open incident", point.undecided),
                    ("estimate", point.estimated),
                    (f"silence {duration_text(point.silence_s)}", point.silence_s),
                    ("not final", not point.final),
                    (f"adjustment {point.adjustment} {report.unit}", point.adjustment),
                )
                if holds
            ),
        )
        for point in report.points
    ]
    return ReportTable(title="Meter points", columns=columns, rows=rows, empty="There are no meter points.")


def period_line(report: Report) -> str:
    """From when to when it is, and when it was made, in local time."""
    start, end, made = (text[:16].replace("T", " ") for text in (report.start, report.end, report.made_at))
    return f"{start} to {end} ({report.tz}), {report.carrier}. Made {made}."


def honesty_lines(report: Report) -> list[str]:
    """How good the figures are, a line each."""
    found: ReportHonesty = report.honesty
    if report.is_empty:
        return ["There are no meter points, so nothing is known."]
    lines = [
        "All figures are final: no later reading is expected to change them."
        if found.final
        else "Some figures are not final: later readings may change them.",
        f"Data is available for {number_text(found.available, 2)} % of the quarter-hours."
        if found.available is not None
        else "Data availability is not known.",
    ]
    if found.silence_s:
        lines.append(f"Meters were silent for {duration_text(found.silence_s)} whose energy is in the figures.")
    if found.undecided:
        lines.append(f"Open incidents, whose energy is left out until they are decided: {', '.join(found.undecided)}.")
    if found.estimated:
        lines.append(f"Partly estimated: {', '.join(found.estimated)}.")
    if found.corrections:
        lines.append(f"{found.corrections} corrections have changed figures.")
    if found.closed:
        lines.append(f"Closed figures are told for {', '.join(found.closed)}.")
    lines += [f"Adjustment of a closed month: {line}." for line in found.adjustments]
    lines += [f"Left out: {line}." for line in found.left_out]
    return lines
