"""The page in a real browser, on a real stack."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import expect

from tests.dashboard.conftest import Visit, chart_in_view, settled
from tests.dashboard.world import METER, ZONE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

CARD = f'li.card:has(a[href$="/rt/{METER}"])'
TOTAL = f'{CARD} [data-field="zyggl"]'


def test_a_wrong_password_is_said_and_the_right_one_opens(visitor: Visit) -> None:
    visitor.forgiven = ("401",)
    page = visitor.log_in("wrong")
    expect(page.get_by_role("alert")).to_be_visible()
    visitor.log_in()
    expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
    page.reload()
    expect(page.get_by_role("heading", name="Devices", level=1)).to_be_visible()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_label("Password")).to_be_visible()


def test_a_value_changes_within_a_second_of_its_frame(visit: Visit) -> None:
    visit.world.publish(zyggl=5, ua=230)
    expect(visit.page.locator(TOTAL)).to_contain_text("5 kW")
    took = []
    for number in range(1, 6):
        # Stamps have whole seconds: the next frame needs one of its own.
        time.sleep(1.05 - time.time() % 1)
        began = time.monotonic()
        visit.world.publish(zyggl=5 + number / 4, ua=230)
        visit.page.wait_for_function(
            "([place, text]) => document.querySelector(place)?.textContent.includes(text)",
            arg=[f'a[href$="rt/{METER}"]', METER],
        )
        expect(visit.page.locator(TOTAL)).to_contain_text(f"{5 + number / 4:g} kW")
        took.append(time.monotonic() - began)
    assert sorted(took)[2] < 1, took


def test_a_device_goes_offline_and_comes_back(visit: Visit) -> None:
    visit.world.publish(zyggl=6)
    status = visit.page.locator(f"{CARD} .status")
    expect(status).to_have_text("online")
    visit.world.fall_silent()
    expect(status).to_have_text("offline")
    expect(visit.page.get_by_role("button", name="Offline 1")).to_be_visible()
    visit.world.publish(zyggl=7)
    expect(status).to_have_text("online")


def test_history_is_zoomed_into_last_week(visit: Visit) -> None:
    page = visit.open(f"#/device/rt/{METER}")
    panel = page.get_by_role("region", name="History")
    panel.get_by_role("button", name="7 days").click()
    state = panel.locator("[data-resolution]")
    expect(state).to_have_attribute("data-resolution", "10m")
    expect(panel.locator(".provisional")).to_be_visible()
    span = panel.locator("[data-from]")

    def shown() -> tuple[float, float]:
        return float(span.get_attribute("data-from") or 0), float(span.get_attribute("data-to") or 0)

    week = shown()
    assert week[1] - week[0] == pytest.approx(7 * 86_400, abs=2)
    settled(page)
    box = chart_in_view(page)
    left, right, middle = box["x"] + box["width"] / 7, box["x"] + 2 * box["width"] / 7, box["y"] + 60
    page.mouse.move(left, middle)
    page.mouse.down()
    page.mouse.move(right, middle, steps=4)
    page.mouse.up()
    page.wait_for_function("() => location.hash.includes('from=')")
    day = shown()
    assert day[0] == pytest.approx(week[0] + 86_400, abs=1800) and day[1] - day[0] == pytest.approx(86_400, abs=1800)
    # Raw holds a day whole, and a day has fewer readings than a chart has room for.
    expect(state).to_have_attribute("data-resolution", "raw")
    panel.locator(".chart").focus()
    page.keyboard.press("ArrowLeft")
    page.wait_for_function("(from) => Number(document.querySelector('[data-from]').dataset.from) < from", arg=day[0])
    page.keyboard.press("+")
    page.wait_for_function(
        "() => { const {from, to} = document.querySelector('[data-from]').dataset; return to - from < 50000 }"
    )
    panel.locator("details.table summary").click()
    expect(panel.get_by_role("row").nth(1)).to_be_visible()
    page.reload()
    expect(panel.locator("[data-resolution]")).to_have_attribute("data-resolution", "raw")
    assert "from=" in page.url


def test_a_gap_is_no_line(visit: Visit) -> None:
    """Nine hours without readings: the table ends before them and goes on behind, and the chart draws nothing there."""
    page = visit.open(f"#/device/rt/{METER}?last={7 * 86_400}")
    panel = page.get_by_role("region", name="History")
    expect(panel.locator("[data-resolution]")).to_have_attribute("data-resolution", "10m")
    plot = panel.locator("canvas")
    plot.scroll_into_view_if_needed()
    page.wait_for_timeout(300)
    painted = plot.evaluate(
        """(canvas) => {
            const {width, height} = canvas;
            const {data} = canvas.getContext("2d").getImageData(0, 0, width, height);
            const [r, g, b] = [11, 122, 75];
            return Array.from({length: width}, (_, x) => {
                for (let y = 0; y < height; y++) {
                    const i = 4 * (y * width + x);
                    if (Math.abs(data[i] - r) + Math.abs(data[i + 1] - g) + Math.abs(data[i + 2] - b) < 60) return 1;
                }
                return 0;
            });
        }"""
    )
    first, last = painted.index(1), len(painted) - 1 - painted[::-1].index(1)
    blank = "".join(map(str, painted[first:last])).split("1")
    longest = max(len(part) for part in blank)
    assert longest == pytest.approx((last - first) * 9 / (7 * 24), rel=0.25)


def test_energy_of_yesterday_is_what_the_api_says(visit: Visit) -> None:
    yesterday = f"{datetime.now(ZoneInfo(ZONE)).date() - timedelta(days=1)}"
    answer = visit.world.get("/api/telemetry/eny-now-data/consumption/", bucket="day", tz=ZONE, device_id=METER)
    [told] = [row["energy"] for row in answer["results"] if row["bucket"] == yesterday]
    assert told > 100
    page = visit.open(f"#/device/eny_now/{METER}")
    panel = page.get_by_role("region", name="Energy", exact=True)
    bar = panel.locator(f'[data-bucket="{yesterday}"]')
    expect(bar).to_have_attribute("data-energy", f"{told:.10g}")
    bar.hover()
    expect(panel.locator(".reading strong")).to_have_text(f"{round(told, 3):,.10g} kWh")
    for name, count in (("Hours", 40), ("Months", 10)):
        panel.get_by_role("button", name=name).click()
        page.wait_for_function(
            "([name, count]) => document.querySelectorAll('[data-bucket]').length > count"
            " && document.querySelector('.bar [aria-pressed=true]')",
            arg=[name, count],
        )
    expect(page.locator('[aria-labelledby=incidents] [data-incident="reset"]').first).to_be_visible()


def test_the_silence_of_nine_hours_is_in_the_bar_of_its_end(visit: Visit) -> None:
    answer = visit.world.get("/api/telemetry/eny-now-data/consumption/", bucket="hour", tz=ZONE, device_id=METER)
    days = visit.world.get("/api/telemetry/eny-now-data/consumption/", bucket="day", tz=ZONE, device_id=METER)
    [silent] = [row for row in days["results"] if row["silence_s"]]
    assert 9 * 3600 <= silent["silence_s"] <= 9.5 * 3600 and days["silence_s"] == silent["silence_s"]
    assert answer["start"] == answer["results"][0]["start"] and answer["end"] == answer["results"][-1]["end"]
    page = visit.open(f"#/device/eny_now/{METER}")
    panel = page.get_by_role("region", name="Energy", exact=True)
    bar = panel.locator(f'[data-bucket="{silent["bucket"]}"]')
    expect(bar).to_have_attribute("data-silence", str(silent["silence_s"]))
    expect(panel.locator(".column .silent")).to_have_count(1)
    bar.hover()
    expect(panel.locator(".reading")).to_contain_text("9 h of silence")


def test_a_rejected_frame_is_shown_with_its_reason(visit: Visit) -> None:
    visit.world.publisher.send("MQTT_RT_DATA", '{"no":"id"}')
    visit.world.publisher.flush()
    page = visit.page
    page.get_by_role("link", name="Events").click()
    first = page.locator(".events li").first
    expect(first.locator(".tag.rejected")).to_be_visible()
    expect(first.locator(".why")).to_contain_text("'id'")
    first.locator("summary").click()
    expect(first.locator("pre")).to_have_text('{"no":"id"}')


def test_the_system_tells_how_it_is(visit: Visit) -> None:
    page = visit.page
    page.get_by_role("link", name="System").click()
    expect(page.locator(".parts li.ok", has_text="mongo")).to_be_visible()
    # Neither worker nor scheduler runs here, and the page says so.
    expect(page.locator(".parts li.down", has_text="worker")).to_be_visible()
    expect(page.locator('[data-tier="rt 10m"]')).to_have_attribute("data-state", "OK")


def test_without_the_gateway_the_page_asks_and_comes_back_by_itself(visit: Visit) -> None:
    visit.forgiven = ("WebSocket", "ERR_")
    visit.world.stop_gateway()
    page = visit.page
    page.wait_for_selector(".connection.polling")
    visit.world.publish(zyggl=9.5)
    expect(page.locator(TOTAL)).to_contain_text("9.5 kW")
    visit.world.start_gateway()
    page.wait_for_selector(".connection.live")
    visit.world.publish(zyggl=9.75)
    expect(page.locator(TOTAL)).to_contain_text("9.75 kW")


def test_a_request_that_fails_for_a_while_is_repeated(visit: Visit) -> None:
    visit.forgiven = ("502",)
    visit.world.publish(zyggl=8)
    page = visit.page
    rows = "**/api/telemetry/rt-data/?*"
    page.route(rows, lambda route: route.fulfill(status=502, body="bad gateway"))
    end = int(time.time())
    # A range that stands still is asked for once, so the next request is there because this one failed.
    page.goto(f"{visit.world.base}/#/device/rt/{METER}?from={end - 3600}&to={end}")
    alert = page.locator("section[aria-labelledby=history] [role=alert]")
    expect(alert).to_contain_text("502")
    page.unroute(rows)
    expect(alert).to_have_count(0, timeout=15_000)
    expect(page.locator("[data-resolution=raw]")).to_be_visible()
