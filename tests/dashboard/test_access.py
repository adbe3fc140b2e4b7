"""For everybody: each view passes axe-core in both themes, fits a phone, and can be used with the keyboard. The
screenshots that are looked at are made here, in build/screenshots."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.dashboard.conftest import NARROW, WIDE, Visit
from tests.dashboard.world import METER

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

ROOT = Path(__file__).parents[2]
AXE = ROOT / "greenpower/dashboard/page/node_modules/axe-core/axe.min.js"
SHOTS = ROOT / "build/screenshots"
VIEWS = {
    "overview": ("#/", ".card strong"),
    "power": (f"#/device/rt/{METER}?last={7 * 86_400}", '[data-resolution="10m"]'),
    "energy": (f"#/device/eny_now/{METER}", ".column .amount"),
    "events": ("#/events?outcome=", ".events li"),
    "system": ("#/system", ".parts li"),
}


def serious(page: Page) -> list[str]:
    """What axe-core finds that keeps people out."""
    # The content policy lets no script in; the browser's own door does.
    page.evaluate(AXE.read_text("utf-8"))
    found: dict[str, Any] = page.evaluate("() => axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{one['id']}: {one['nodes'][0]['html'][:200]} {one['nodes'][0].get('failureSummary', '')}"
        for one in found["violations"]
        if one["impact"] in ("serious", "critical")
    ]


def shoot(page: Page, name: str) -> None:
    """Screenshots of all of a view, at both widths."""
    SHOTS.mkdir(parents=True, exist_ok=True)
    for width, height in (NARROW, WIDE):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function("() => document.documentElement.scrollWidth <= innerWidth", timeout=3_000)
        page.screenshot(path=SHOTS / f"{name}-{width}.png", full_page=True, animations="disabled")


def test_logging_in_keeps_nobody_out(visitor: Visit) -> None:
    assert serious(visitor.page) == []
    shoot(visitor.page, "login")


@pytest.mark.parametrize("name", VIEWS)
def test_a_view_keeps_nobody_out_and_fits_a_phone(visit: Visit, name: str) -> None:
    visit.world.publish(zyggl=8, ua=230, ub=229, uc=231, ia=12, f=50)
    address, there = VIEWS[name]
    page = visit.open(address)
    page.wait_for_selector(there)
    expect(page.locator("[aria-busy=true]")).to_have_count(0)
    assert serious(page) == []
    shoot(page, name)
    page.get_by_role("button", name="Dark mode").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    assert serious(page) == []
    shoot(page, f"{name}-dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")


def test_the_keyboard_is_enough(visitor: Visit) -> None:
    page = visitor.page
    expect(page.get_by_label("User name")).to_be_focused()
    page.keyboard.type("admin")
    page.keyboard.press("Tab")
    page.keyboard.type(visitor.world.settings.admin_password.get_secret_value())
    page.keyboard.press("Enter")
    page.wait_for_selector(".card a")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    page.locator(".card a").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", level=1, name=METER)).to_be_focused()
