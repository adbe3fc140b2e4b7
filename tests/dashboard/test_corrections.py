"""Corrections on the page: made and withdrawn, with the energy that the API tells; refused next to the field."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest
from playwright.sync_api import Locator, expect

from tests.dashboard.conftest import Visit
from tests.dashboard.registers import bars_of, days_of, device_with_register, local, noon, open_panel
from tests.dashboard.test_access import serious, shoot
from tests.dashboard.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

DEVICE = "CORRECTED-1"
WH_SINCE = 8


def register(index: int) -> float:
    """A register in kWh, with one wrong value that stays unknown for a while, and in Wh from 14:00 on."""
    value = 5_000 + index / 4
    return value if index < WH_SINCE else value * 1_000


@pytest.fixture
def number(world: World) -> Iterator[int]:
    """A device that began to send Wh yesterday: its number."""
    with device_with_register(world, DEVICE, register) as found:
        yield found


@pytest.fixture
def panel(visit: Visit, number: int) -> Locator:
    return open_panel(visit, DEVICE, "corrections")


def fill(panel: Locator, what: str, **values: str) -> None:
    """Open the form and fill it in."""
    panel.get_by_role("button", name="Add a correction").click()
    panel.get_by_label("What").select_option(label=what)
    for name, value in values.items():
        panel.locator(f"[name={name}]").fill(value)


def make(panel: Locator) -> None:
    panel.get_by_role("button", name="Make the correction").click()


def withdraw(correction: Locator) -> None:
    correction.get_by_role("button", name="Withdraw").click()
    correction.get_by_label("Reason").fill("was wrong")
    correction.get_by_role("button", name="Withdraw the correction").click()
    expect(correction.locator(".tag")).to_have_text("withdrawn")


def test_a_factor_is_made_and_withdrawn(visit: Visit, panel: Locator) -> None:
    before = days_of(visit.world, DEVICE)
    since = noon() + timedelta(hours=2)
    fill(panel, "Multiply readings", begin=local(since), factor="0.001", reason="sends Wh")
    make(panel)
    correction = panel.locator('[data-correction="factor"]')
    expect(correction).to_contain_text("sends Wh")
    after = days_of(visit.world, DEVICE)
    # From the first reading to the last one, in kWh.
    assert sum(value or 0 for value in after.values()) == 95 / 4
    expect(visit.page.locator(".computing")).to_be_empty(timeout=30_000)
    visit.page.reload()
    assert bars_of(visit) == after != before
    expect(visit.page.locator('[data-incident="unit_change"]')).to_have_count(0)
    withdraw(correction)
    assert days_of(visit.world, DEVICE) == before
    visit.page.reload()
    assert bars_of(visit) == before


def test_readings_that_are_left_out_are_counted_first(visit: Visit, panel: Locator) -> None:
    before = days_of(visit.world, DEVICE)
    begin = noon() + timedelta(hours=2)
    fill(panel, "Leave readings out", begin=local(begin), end=local(begin + timedelta(hours=1)), reason="broken")
    expect(panel).to_contain_text("4 readings lie in this span now")
    make(panel)
    correction = panel.locator('[data-correction="exclusion"]')
    expect(correction).to_contain_text("broken")
    withdraw(correction)
    assert days_of(visit.world, DEVICE) == before


def test_energy_is_entered_for_a_span_and_says_so(visit: Visit, panel: Locator) -> None:
    before = days_of(visit.world, DEVICE)
    begin = noon() - timedelta(hours=2)
    fill(panel, "Enter the energy", begin=local(begin + timedelta(minutes=1)), end=local(noon()), reason="read off")
    visit.forgiven = ("422",)
    panel.locator("[name=energy]").fill("7.5")
    make(panel)
    expect(panel.locator("[name=begin]")).to_have_attribute("aria-invalid", "true")
    panel.locator("[name=begin]").fill(local(begin))
    expect(panel).to_contain_text("2 kWh now")
    make(panel)
    correction = panel.locator('[data-correction="fixed"]')
    expect(correction).to_contain_text("7.5 kWh")
    after = days_of(visit.world, DEVICE)
    assert sum(value or 0 for value in after.values()) == sum(value or 0 for value in before.values()) + 7.5 - 2
    expect(visit.page.locator(".computing")).to_be_empty(timeout=30_000)
    visit.page.reload()
    assert bars_of(visit) == after
    changed = visit.page.locator(".column:has(.amount.corrected)")
    expect(changed).to_have_count(1)
    changed.hover()
    expect(visit.page.locator(".reasons")).to_contain_text("read off")
    shoot(visit.page, "correction-fixed")
    withdraw(correction)
    assert days_of(visit.world, DEVICE) == before


def test_what_is_refused_stands_next_to_its_field(visit: Visit, number: int, panel: Locator) -> None:
    visit.forgiven = ("422", "409")
    fill(panel, "Multiply readings", begin=local(noon()), end=local(noon()), factor="0", reason="sends Wh")
    make(panel)
    for name in ("end", "factor"):
        expect(panel.locator(f"[name={name}]")).to_have_attribute("aria-invalid", "true")
        expect(panel.locator(f".entry:has([name={name}]) .error")).not_to_be_empty()
    expect(panel.locator("[name=begin]")).not_to_have_attribute("aria-invalid", "true")
    panel.locator("[name=end]").fill("")
    panel.locator("[name=factor]").fill("0.001")
    make(panel)
    expect(panel.locator("[data-correction]")).to_have_count(1)
    fill(panel, "Multiply readings", begin=local(noon()), factor="2", reason="again")
    make(panel)
    expect(panel.get_by_role("alert")).not_to_be_empty()
    assert len(visit.world.get(f"/api/devices/{number}/corrections/")["results"]) == 1


def test_the_form_keeps_nobody_out_and_fits_a_phone(visit: Visit, panel: Locator) -> None:
    page = visit.page
    for theme in ("light", "dark"):
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        for what in ("Multiply readings", "Enter the energy", "Estimate a silence"):
            fill(panel, what, begin=local(noon()), end=local(noon() + timedelta(hours=1)))
            expect(page.locator("[aria-busy=true]")).to_have_count(0)
            assert serious(page) == []
            shoot(page, f"correction-{what.split()[0].lower()}-{theme}")
            page.keyboard.press("Escape")
            expect(panel.locator("form")).to_have_count(0)
        if theme == "light":
            page.get_by_role("button", name="Dark mode").click()
