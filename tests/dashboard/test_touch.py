"""Charts under fingers: one moves along the time, two stretch it, and up and down scrolls the page."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, CDPSession, Page

from tests.dashboard.conftest import NARROW, Visit, chart_in_view, settled
from tests.dashboard.world import METER, ZONE, World

Fingers = list[tuple[float, float]]
DAY = 86_400


@pytest.fixture
def phone(world: World, browser: Browser) -> Iterator[Visit]:
    """Somebody with a phone who has logged in."""
    context = browser.new_context(
        viewport={"width": NARROW[0], "height": NARROW[1]}, timezone_id=ZONE, locale="en-GB", has_touch=True
    )
    visit = Visit(world, context)
    visit.open()
    visit.log_in().wait_for_selector(".connection.live")
    yield visit
    context.close()
    assert visit.complaints == []


def drag(session: CDPSession, begin: Fingers, end: Fingers, steps: int = 8) -> None:
    """Put fingers down, move each to its place, take them away."""

    def send(kind: str, fingers: Fingers) -> None:
        points = [{"x": x, "y": y, "id": number} for number, (x, y) in enumerate(fingers)]
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})

    send("touchStart", begin)
    for step in range(1, steps + 1):
        part = step / steps
        places = [
            (x + (to_x - x) * part, y + (to_y - y) * part) for (x, y), (to_x, to_y) in zip(begin, end, strict=True)
        ]
        send("touchMove", places)
    send("touchEnd", [])


def shown(page: Page) -> tuple[float, float]:
    span = page.locator("[data-from]")
    return float(span.get_attribute("data-from") or 0), float(span.get_attribute("data-to") or 0)


def test_fingers_move_and_stretch_a_chart(phone: Visit) -> None:
    page = phone.open(f"#/device/rt/{METER}?last={7 * DAY}")
    panel = page.get_by_role("region", name="History")
    panel.locator("[data-resolution='10m']").wait_for()
    settled(page)
    box = chart_in_view(page)
    session = page.context.new_cdp_session(page)
    left, width, middle = box["x"], box["width"], box["y"] + box["height"] / 2
    week = shown(page)

    drag(session, [(left + width * 0.2, middle)], [(left + width * 0.7, middle)])
    page.wait_for_function("() => location.hash.includes('from=')")
    before = shown(page)
    assert before[1] - before[0] == pytest.approx(7 * DAY, abs=2)
    assert before[0] == pytest.approx(week[0] - 3.5 * DAY, abs=0.3 * DAY)

    third = [(left + width * 0.4, middle), (left + width * 0.6, middle)]
    whole = [(left + width * 0.1, middle), (left + width * 0.9, middle)]
    drag(session, third, whole)
    page.wait_for_function(
        "() => { const {from, to} = document.querySelector('[data-from]').dataset; return to - from < 300000 }"
    )
    near = shown(page)
    assert near[1] - near[0] == pytest.approx(7 * DAY / 4, rel=0.1)
    assert sum(near) / 2 == pytest.approx(sum(before) / 2, abs=0.2 * DAY)

    # Back to now, where it goes on by itself.
    drag(session, [(left + width * 0.9, middle)], [(left - 2_000, middle)])
    page.wait_for_function("() => location.hash.includes('last=')")


def test_up_and_down_scrolls_the_page(phone: Visit) -> None:
    page = phone.open(f"#/device/rt/{METER}?last={7 * DAY}")
    settled(page)
    box = chart_in_view(page)
    session = page.context.new_cdp_session(page)
    top = page.evaluate("() => scrollY")
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    drag(session, [(x, y)], [(x, y - 300)], steps=15)
    page.wait_for_function("(top) => scrollY > top + 50", arg=top)
    assert "from=" not in page.url
