"""The mean day: energy of quarter-hours, spread over those without samples right before them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from fractions import Fraction
from zoneinfo import ZoneInfo

from hypothesis import given
from hypothesis import strategies as st

from greenpower.energy.amount import UNIT, Amount
from greenpower.energy.profile import MAX_SPREAD, DayKind, ProfilePart, profile

QUARTER = timedelta(minutes=15)
MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
FIRST = MONDAY - MAX_SPREAD


def mean_day(energies: list[int | None], zone: str = "UTC", minutes: int = 15) -> dict[DayKind, list[ProfilePart]]:
    """The profile of quarter-hours from an hour before Monday on; energies in kWh, None without a sample."""
    cuts = [FIRST + number * QUARTER for number in range(len(energies) + 1)]
    amounts = [Amount(energy=(energy or 0) * UNIT, counted=energy is not None) for energy in energies]
    return profile(cuts, amounts, MONDAY, ZoneInfo(zone), minutes)


def powers(parts: list[ProfilePart], count: int) -> list[float | None]:
    return [None if part.power is None else float(part.power) for part in parts[:count]]


def test_a_meter_that_is_read_each_half_hour_has_a_profile_like_others() -> None:
    found = mean_day([None, 1, None, 1, None, 2, None, 4])[DayKind.WORKDAY]
    assert powers(found, 5) == [4, 4, 8, 8, None]
    assert found[0].hours == Fraction(1, 4)


def test_what_a_silence_hides_is_not_in_it() -> None:
    found = mean_day([1, 1, 1, 1, 2, *[None] * 4, 9, 3])[DayKind.WORKDAY]
    assert powers(found, 8) == [8, None, None, None, None, None, 12, None]
    assert powers(mean_day([None] * 4 + [5, 1])[DayKind.WORKDAY], 2) == [None, 4], "nobody knows since when"


def test_days_are_those_of_the_clock_on_the_wall() -> None:
    found = mean_day([1] * 8, "America/New_York", 60)
    assert powers(found[DayKind.SUNDAY], 24)[18:21] == [None, 4, None]
    assert not any(part.hours for part in found[DayKind.WORKDAY])


@given(st.lists(st.integers(0, 9), min_size=5, max_size=800))
def test_the_energy_of_the_parts_is_the_whole(energies: list[int]) -> None:
    found = mean_day([*energies])
    energy = sum((part.power or 0) * part.hours for parts in found.values() for part in parts)
    assert energy == sum(energies[4:])
