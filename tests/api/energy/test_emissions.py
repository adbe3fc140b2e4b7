"""Emissions of meter points, and the factors that they come from."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from itertools import pairwise

import pytest

from tests.api.conftest import refused
from tests.api.energy.test_points import BEFORE, DAYS, LATER, RANGE, Site, points, site  # noqa: F401 - fixtures

PATH = "/api/energy/emission-factors/"


@pytest.fixture
def factors(site: Site) -> Iterator[list[int]]:  # noqa: F811
    made = [
        site.good("POST", PATH, {"valid_from": day, "kg_per_unit": kg, "role": role}, code=201)["id"]
        for day, kg, role in (
            ("2026-01-01", "0.4", "grid_import"),
            ("2026-03-30", "0.363", "grid_import"),
            ("2026-03-30", "0.35", "grid_import"),
            ("2026-01-01", "0.04", "solar"),
        )
    ]
    yield made
    for number in (made[0], made[2], made[3]):
        site.good("DELETE", f"{PATH}{number}/")


def test_energy_times_the_factor_of_its_day(site: Site, points: dict[str, int], factors: list[int]) -> None:  # noqa: F811
    """The factor changes within a week, and one for the same day took the place of another."""
    body = site.ask_for("emissions", **{**RANGE, "bucket": "day"})
    found = {point["name"]: point for point in body["points"]}
    assert {*found} == {"grid", "sun"}
    expected = []
    for begin, end in pairwise(DAYS):
        factor = Decimal("0.4") if begin.day < 30 and begin.month == 3 else Decimal("0.35")
        expected.append(Decimal(str(round(site.plain("grid", begin, end), 3))) * factor)
    assert [Decimal(row["kg"]) for row in found["grid"]["results"]] == expected
    assert Decimal(found["grid"]["total"]["kg"]) == sum(expected)
    sun = Decimal(str(round(site.plain("sun", DAYS[0], DAYS[-1]), 6))) * Decimal("0.04")
    assert Decimal(body["kg"]) == sum(expected) + sun
    weeks = site.ask_for("emissions", **{**RANGE, "bucket": "week"})
    total = sum(Decimal(row["kg"]) for row in weeks["points"][0]["results"])
    assert total == Decimal(weeks["points"][0]["total"]["kg"])


def test_what_was_replaced_is_kept_with_the_time(site: Site, factors: list[int]) -> None:  # noqa: F811
    rows = {row["id"]: row for row in site.get(PATH).get_json()["results"]}
    assert rows[factors[1]]["replaced_at"] and not rows[factors[2]]["replaced_at"]
    assert refused(site.ask("DELETE", f"{PATH}{factors[1]}/"), 404)


@pytest.mark.parametrize("kg", ["much", "1e9", "0.1234567891", "", "٣"])
def test_a_factor_that_is_no_number_is_refused(site: Site, kg: str) -> None:  # noqa: F811
    response = site.ask("POST", PATH, {"valid_from": "2026-01-01", "kg_per_unit": kg})
    assert refused(response, 422) and "0.363" in response.text


@pytest.mark.parametrize("day", ["0001-01-01", "1899-12-31", "9999-12-31"])
def test_a_factor_from_the_ends_of_the_calendar_is_refused(site: Site, day: str) -> None:  # noqa: F811
    response = site.ask("POST", PATH, {"valid_from": day, "kg_per_unit": "0.4"})
    assert refused(response, 422) and "1900-01-01 to 9998-12-31" in response.text


def test_emissions_are_compared_with_those_before(site: Site, points: dict[str, int], factors: list[int]) -> None:  # noqa: F811
    """By the factors that were valid then."""
    body = site.ask_for("emissions", **LATER, compare="previous")
    then = site.ask_for("emissions", **BEFORE)
    [grid, sun] = body["points"]
    kilograms = [Decimal(str(round(site.plain("grid", *pair), 3))) * Decimal("0.4") for pair in pairwise(DAYS[:3])]
    assert [Decimal(row["compared"]) for row in grid["results"]] == kilograms
    assert Decimal(grid["compared_total"]) == sum(kilograms)
    assert grid["change"] == pytest.approx(float(Decimal(grid["total"]["kg"]) / sum(kilograms)) - 1, abs=1e-4)
    assert sun["compared_total"] == then["points"][1]["total"]["kg"]
    assert body["compared_kg"] == then["kg"] and body["change"] is not None
    assert then["compared_with"] is None and "change" not in then
