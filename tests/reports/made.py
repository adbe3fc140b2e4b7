"""Reports that are made up, for tests of how they look."""

from __future__ import annotations

from dataclasses import replace

from greenpower.reports.report import (
    CostsOf,
    Report,
    ReportDay,
    ReportHonesty,
    ReportMoney,
    ReportPeak,
    ReportPoint,
    ReportValue,
    ReportZone,
)

BENGALI, GERMAN = "বিদ্যুৎ কেন্দ্র", "Größenmäßig überlanger Zählpunkt in der Straße"
LONG = "Switchgear room of the third building behind the second yard, northern feeder, spare panel number seventeen"


def make_point(name: str, energy: float | None, **more: object) -> ReportPoint:
    point = ReportPoint(
        name=name, role="load", zone="Hall", energy=energy, available=99.5, silence_s=0, undecided=False,
        estimated=False, final=True, adjustment=None, cost="12.30 EUR", kg="4.5",
    )  # fmt: skip
    return replace(point, **more)  # type: ignore[arg-type]


def make_report(**more: object) -> Report:
    """A month with something of everything."""
    days = [ReportDay(day=f"2026-10-{day:02}", energy=100.0 + 7 * (day % 5), final=True) for day in range(1, 32)]
    days[9] = replace(days[9], energy=None, final=False)
    energies = [day.energy for day in days if day.energy is not None]
    names = ("Hall <1>", BENGALI, GERMAN, LONG, "=1+2")
    report = Report(
        unit_name="month",
        name="2026-10",
        scope="",
        carrier="electricity",
        unit="kWh",
        tz="Asia/Dhaka",
        start="2026-10-01T00:00:00+06:00",
        end="2026-11-01T00:00:00+06:00",
        made_at="2026-11-02T06:00:00+06:00",
        consumption=ReportValue(value=sum(energies), previous=3000.0, year_ago=None),
        unmetered=ReportValue(value=123.4),
        roles={"grid_import": 3000.0, "solar": 600.0},
        solar_used=600.0,
        solar_share=0.18,
        self_sufficiency=0.18,
        peaks=[
            ReportPeak(
                point="Grid", power=84.25, unit="kW", start="2026-10-12T10:15:00+06:00", previous=80.0, final=True,
                undecided=False,
            )
        ],
        costs_of=CostsOf.GRID,
        costs=[
            ReportMoney(currency="BDT", amount="123456.789", rounded="123456.79", previous="120000", year_ago=None,
                        adjustment=None),
            ReportMoney(currency="EUR", amount="-12.5", rounded="-12.50", previous=None, year_ago="9", adjustment="1"),
        ],
        kg="1234.5678",
        kg_previous="1300",
        kg_year_ago=None,
        days=days,
        zones=[
            ReportZone(name=name, energy=energy, previous=energy * 0.9, share=energy / sum(energies))
            for name, energy in zip(names, (1200.0, 900.0, 500.0, 20.0, 0.0), strict=True)
        ],
        points=[
            make_point(names[0], 1200.0),
            make_point(BENGALI, 900.0, zone=BENGALI, undecided=True, final=False, silence_s=7_260),
            make_point(GERMAN, 500.0, estimated=True, adjustment=-1.25),
            make_point(LONG, None, available=None, cost=None, kg=None),
            make_point("=1+2", 0.0),
        ],
        honesty=ReportHonesty(
            final=False, available=98.76, silence_s=7_260, undecided=[BENGALI], estimated=[GERMAN], corrections=2,
            adjustments=[f"{GERMAN}, 2026-10: -1.25 kWh (late_readings)"], closed=["2026-10"], left_out=[],
        ),
    )  # fmt: skip
    return replace(report, **more)  # type: ignore[arg-type]


def make_empty() -> Report:
    """A site without meter points."""
    nothing = ReportValue(value=None)
    honesty = ReportHonesty(
        final=True, available=None, silence_s=0, undecided=[], estimated=[], corrections=0, adjustments=[], closed=[],
        left_out=[],
    )  # fmt: skip
    return make_report(
        consumption=nothing, unmetered=nothing, roles={}, solar_used=None, solar_share=None, self_sufficiency=None,
        peaks=[], costs=[], kg=None, kg_previous=None, kg_year_ago=None, days=[], zones=[], points=[], honesty=honesty,
    )  # fmt: skip
