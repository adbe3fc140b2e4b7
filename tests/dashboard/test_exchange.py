"""A meter exchange on the page: the whole form, by mouse and by keyboard; what it says it changes is what changes."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Visit
from tests.dashboard.registers import bars_of, days_of, device_with_register, local, noon, open_panel
from tests.dashboard.test_access import serious, shoot
from tests.dashboard.world import PASSWORD, World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

DEVICE = "EXCHANGED-1"


def register(index: int) -> float:
    """The register of the old meter before noon, of the new one after it."""
    return 5_000 + index / 4 if index < 0 else 0.25 + index / 4


@pytest.fixture
def number(world: World) -> Iterator[int]:
    """A device whose meter was replaced yesterday noon, which nobody has entered: its number."""
    with device_with_register(world, DEVICE, register) as found:
        yield found


def test_a_guided_form_enters_an_exchange_and_says_what_it_changes(visit: Visit, number: int) -> None:
    before = days_of(visit.world, DEVICE)
    panel = open_panel(visit, DEVICE, "exchange")
    assert bars_of(visit) == before
    panel.get_by_role("button", name="Enter an exchange").click()
    panel.get_by_label("Time of the exchange").fill(local(noon()))
    panel.get_by_role("button", name="Next").click()
    register = panel.locator('fieldset[data-field="zygsz"]')
    expect(register.get_by_label("Last of the old meter")).to_have_value("4999.75")
    expect(register.get_by_label("First of the new meter")).to_have_value("0.25")
    register.get_by_label("Last of the old meter").fill("5000.125")
    register.get_by_label("First of the new meter").fill("0")
    shoot(visit.page, "exchange-registers")
    panel.get_by_role("button", name="Next").click()
    told = float(panel.locator('[data-field="zygsz"]').get_attribute("data-change") or "nan")
    other = float(panel.locator('[data-field="zwgsz"]').get_attribute("data-change") or "nan")
    expect(panel.get_by_role("button", name="Enter the exchange")).to_be_visible()
    panel.get_by_label("Reason").fill("worn out")
    panel.get_by_role("button", name="Enter the exchange").click()
    expect(panel.locator("[data-exchange]")).to_contain_text("worn out")
    expect(visit.page.locator(".computing")).not_to_be_empty()
    after = days_of(visit.world, DEVICE)
    changed = {day: round((after[day] or 0) - (before[day] or 0), 6) for day in after}
    assert sum(changed.values()) == pytest.approx(told) and other == 0
    expect(visit.page.locator(".computing")).to_be_empty(timeout=30_000)
    visit.page.reload()
    assert bars_of(visit) == after
    # The old meter counted 0.375 after its last reading, the new one 0.25 before its first.
    assert sum(value or 0 for value in after.values()) == 47 / 4 + 0.375 + 0.25 + 47 / 4
    swap = visit.page.locator('[data-incident="swap"]').first
    expect(swap).to_be_visible()
    expect(swap.get_by_role("button")).to_have_count(0)

    panel.get_by_role("button", name="Revoke").click()
    panel.get_by_label("Reason").fill("was another meter")
    panel.get_by_role("button", name="Revoke the exchange").click()
    expect(panel.locator("[data-exchange] .tag")).to_have_text("revoked")
    assert days_of(visit.world, DEVICE) == before
    visit.page.reload()
    assert bars_of(visit) == before


def test_the_keyboard_is_enough_for_an_exchange(visit: Visit, number: int) -> None:
    panel, page = open_panel(visit, DEVICE, "exchange"), visit.page
    panel.get_by_role("button", name="Enter an exchange").press("Enter")
    expect(panel.get_by_role("heading", level=3)).to_be_focused()
    page.keyboard.press("Escape")
    expect(panel.locator("form")).to_have_count(0)
    panel.get_by_role("button", name="Enter an exchange").press("Enter")
    panel.get_by_label("Time of the exchange").fill(local(noon()))
    page.keyboard.press("Enter")
    expect(panel.get_by_role("heading", level=3)).to_be_focused()
    expect(panel.locator('fieldset[data-field="zygsz"]')).to_be_visible()
    page.keyboard.press("Tab")
    expect(panel.get_by_label("Last of the old meter").first).to_be_focused()
    page.keyboard.press("Enter")
    expect(panel.get_by_label("Reason")).to_be_visible()
    page.keyboard.press("Tab")
    page.keyboard.type("worn out")
    page.keyboard.press("Enter")
    expect(panel.locator("[data-exchange]")).to_contain_text("worn out")
    made = visit.world.get(f"/api/devices/{number}/meter-exchanges/")["results"]
    # What was not changed is left to the readings.
    assert [one["readings"]["eny_now"]["zygsz"] for one in made] == [{"last": None, "first": None}]
    panel.get_by_role("button", name="Move").press("Enter")
    panel.get_by_label("New time").fill(local(noon() + timedelta(minutes=1)))
    panel.get_by_label("Reason").fill("a minute later")
    page.keyboard.press("Enter")
    expect(panel.locator("[data-exchange]")).to_contain_text("a minute later")


def test_what_is_refused_stands_next_to_its_field(visit: Visit, number: int) -> None:
    visit.forgiven = ("422", "409")
    panel = open_panel(visit, DEVICE, "exchange")
    panel.get_by_role("button", name="Enter an exchange").click()
    at = panel.get_by_label("Time of the exchange")
    at.fill(local(datetime.now(UTC) + timedelta(days=2)))
    panel.get_by_role("button", name="Next").click()
    expect(at).to_have_attribute("aria-invalid", "true")
    expect(panel.locator(".entry.wrong .error")).not_to_be_empty()
    assert serious(visit.page) == []
    at.fill(local(noon()))
    panel.get_by_label("The new meter sends another id").check()
    other = panel.get_by_label("Id of the new meter")
    other.fill("$SYS/1")
    panel.get_by_role("button", name="Next").click()
    panel.get_by_role("button", name="Next").click()
    panel.get_by_label("Reason").fill("worn out")
    panel.get_by_role("button", name="Enter the exchange").click()
    expect(other).to_have_attribute("aria-invalid", "true")
    panel.get_by_label("The new meter sends as").check()
    panel.get_by_role("button", name="Next").click()
    last = panel.locator('fieldset[data-field="zygsz"]').get_by_label("Last of the old meter")
    last.fill("-4")
    expect(panel.locator('fieldset[data-field="zygsz"] .note')).to_be_visible()
    panel.get_by_role("button", name="Next").click()
    panel.get_by_role("button", name="Enter the exchange").click()
    expect(last).to_have_attribute("aria-invalid", "true")
    assert visit.world.get(f"/api/devices/{number}/meter-exchanges/")["results"] == []


def test_a_fall_that_is_an_exchange_opens_the_form_at_its_time(visit: Visit, number: int) -> None:
    panel = open_panel(visit, DEVICE, "exchange")
    fall = visit.page.locator("[data-incident]", has=visit.page.locator("button.plain")).first
    fall.get_by_role("button", name="The meter was replaced").click()
    expect(panel.get_by_label("Time of the exchange")).to_have_value(local(noon() + timedelta(minutes=5))[:-3])


def test_the_form_keeps_nobody_out_and_fits_a_phone(visit: Visit, number: int) -> None:
    panel, page = open_panel(visit, DEVICE, "exchange"), visit.page
    for theme in ("light", "dark"):
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        panel.get_by_role("button", name="Enter an exchange").click()
        panel.get_by_label("Time of the exchange").fill(local(noon()))
        panel.get_by_label("The new meter sends another id").check()
        panel.get_by_label("Id of the new meter").fill("NEW-METER-1")
        for step in ("when", "registers", "check"):
            assert serious(page) == []
            shoot(page, f"exchange-{step}-{theme}")
            if step != "check":
                panel.get_by_role("button", name="Next").click()
                heading = {"when": "registers show", "registers": "changes"}[step]
                expect(panel.get_by_role("heading", level=3)).to_contain_text(heading)
        panel.get_by_role("button", name="Cancel").click()
        if theme == "light":
            page.get_by_role("button", name="Dark mode").click()


def test_a_viewer_reads_and_changes_nothing(visitor: Visit, number: int) -> None:
    world = visitor.world
    at = noon().isoformat()
    world.ask("POST", f"/api/devices/{number}/meter-exchange/", json={"at": at, "reason": "worn out"})
    user = world.ask("POST", "/api/users/", json={"username": "reader", "password": PASSWORD, "role": "viewer"})
    try:
        page = visitor.page
        page.fill("input[name=username]", "reader")
        page.fill("input[name=password]", PASSWORD)
        page.click("button[type=submit]")
        page.wait_for_selector(".connection.live")
        panel = open_panel(visitor, DEVICE, "exchange")
        expect(panel.locator("[data-exchange]")).to_contain_text("worn out")
        expect(page.locator("section[aria-labelledby=incidents] li").first).to_be_visible()
        for name in ("exchange", "incidents", "corrections"):
            expect(page.locator(f"section[aria-labelledby={name}]").get_by_role("button")).to_have_count(0)
    finally:
        world.ask("DELETE", f"/api/users/{user['id']}/")
