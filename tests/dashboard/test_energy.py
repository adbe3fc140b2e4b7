"""What the page shows of energy that is silent, undecided, missing or not final, and of each kind of incident. The
answers are given here, so that all of these are there at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from playwright.sync_api import Locator, Route, expect

from tests.dashboard.conftest import Visit
from tests.dashboard.test_access import serious, shoot
from tests.dashboard.world import METER, ZONE

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]

Row = dict[str, Any]
PLAIN: Row = {"energy": 12.5, "samples": 96, "silence_s": 0, "undecided": False, "final": True}
DAYS: list[Row] = [
    PLAIN,
    {"energy": None, "samples": 0},
    {"energy": 31.25, "samples": 40, "silence_s": 100_000},
    {"energy": 4, "undecided": True},
    {"energy": 11, "final": False},
    {"energy": 21, "silence_s": 7_300, "final": False, "undecided": True},
    {"energy": None, "samples": 0, "undecided": True},
    *[{"energy": 10 + number / 4} for number in range(22)],
    {"energy": 3, "final": False},
]
# Of each kind, as the API tells it: its status when it was found, and in how many ways an operator can decide it.
KINDS = {
    "dip": ("noted", 0),
    "spike": ("noted", 0),
    "small_fall": ("open", 2),
    "fall": ("open", 2),
    "reset": ("noted", 2),
    "rollover": ("noted", 2),
    "unit_change": ("open", 2),
    "suspect_step": ("open", 2),
    "suspect_restart": ("open", 2),
    "swap": ("confirmed", 2),
}


def consumption(rows: list[Row], **total: Any) -> Row:
    """An answer of `consumption/` with the days up to today."""
    today = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    results = []
    for number, row in enumerate(rows):
        start = today - timedelta(days=len(rows) - 1 - number)
        place = {"start": start.isoformat(), "end": (start + timedelta(days=1)).isoformat()}
        results.append({**PLAIN, "bucket": f"{start:%Y-%m-%d}", **place, "coverage": 1, **row})
    known = {"start": results[0]["start"], "end": results[-1]["end"], "tz": ZONE, "bucket": "day", "unit": "kWh"}
    return {**known, "field": "zygsz", "results": results, "devices": [], "moved": [], "silence_s": 0, **total}


def incident(number: int, kind: str, status: str) -> Row:
    at = (datetime(2026, 3, 1, tzinfo=UTC) + timedelta(hours=number)).isoformat()
    place = {"type": "eny_now", "device_id": METER, "field": "zygsz", "at": at}
    numbers = {"value": 12.5, "before": 12.7, "before_at": at, "correction": None}
    return {"id": f"{number:024}", **place, "incident": kind, "status": status, "until": None, **numbers}


@pytest.fixture
def energy(visit: Visit) -> Locator:
    """The page of the meter's registers, with days of every kind; its panel."""
    answer = consumption(DAYS, total=351.5, final=False, undecided=True)
    visit.page.route("**/consumption/?*", lambda route: route.fulfill(json=answer))
    visit.page.route("**/api/incidents/?*", _incidents)
    page = visit.open(f"#/device/eny_now/{METER}")
    panel = page.locator("section[aria-labelledby=energy]")
    panel.locator(".column").nth(len(DAYS) - 1).wait_for()
    return panel


def save(incident: Locator, name: str) -> None:
    """Press a button of an incident, give a reason and save the decision."""
    incident.get_by_role("button", name=name).click()
    expect(incident.get_by_role("heading")).to_be_focused()
    incident.get_by_label("Reason").fill("was looked at")
    incident.get_by_role("button", name="Save the decision").click()
    expect(incident.locator("form")).to_have_count(0)


def _incidents(route: Route) -> None:
    results = [incident(number, kind, status) for number, (kind, (status, _)) in enumerate(KINDS.items())]
    route.fulfill(json={"count": len(results), "next": None, "previous": None, "results": results})


def test_a_bar_says_what_its_energy_includes(energy: Locator) -> None:
    columns, reading = energy.locator(".column"), energy.locator(".reading")
    for number, kinds in ((0, "amount"), (1, "amount unknown"), (2, "amount silent"), (4, "amount open")):
        assert " ".join((columns.nth(number).locator(".amount").get_attribute("class") or "").split()) == kinds
    drawn = columns.nth(2).locator(".amount").evaluate("(bar) => getComputedStyle(bar).backgroundImage")
    assert "repeating-linear-gradient" in drawn
    expect(columns.nth(5).locator(".amount")).to_have_class("amount silent open")
    assert "28 h" in (columns.nth(2).get_attribute("title") or "")
    assert "undecided" in (columns.nth(3).get_attribute("class") or "")
    columns.nth(2).hover()
    expect(reading).to_contain_text("31.25 kWh")
    expect(reading).to_contain_text("28 h of silence")
    columns.nth(5).hover()
    for part in ("21 kWh", "2 h of silence", "may still change", "until an incident is decided"):
        expect(reading).to_contain_text(part)
    columns.nth(1).hover()
    expect(reading.locator("strong")).to_have_text("no readings")
    expect(energy.locator(".keys li")).to_have_count(3)


def test_the_arrow_keys_and_the_table_tell_the_same(energy: Locator) -> None:
    energy.locator(".bars").focus()
    for _ in range(len(DAYS)):
        energy.page.keyboard.press("ArrowLeft")
    for _ in range(2):
        energy.page.keyboard.press("ArrowRight")
    expect(energy.locator(".reading")).to_contain_text("28 h of silence")
    energy.locator("details.table summary").click()
    rows = energy.locator("tbody tr")
    expect(rows).to_have_count(len(DAYS))
    expect(rows.first).to_contain_text("so far")
    expect(rows.nth(len(DAYS) - 3)).to_contain_text("28 h of silence")
    expect(rows.nth(len(DAYS) - 1).locator("td").last).to_have_text("")


def test_a_total_says_whether_it_is_whole(visit: Visit, energy: Locator) -> None:
    total = energy.locator(".total")
    expect(total).to_contain_text("Total of the last 30 days: 351.5 kWh")
    expect(total).to_contain_text("until an incident is decided; may still change")
    nothing = consumption([{"energy": None, "samples": 0}] * 30, total=None, final=True, undecided=False)
    visit.page.unroute("**/consumption/?*")
    visit.page.route("**/consumption/?*", lambda route: route.fulfill(json=nothing))
    energy.get_by_role("button", name="Days").click()
    visit.page.reload()
    expect(total).to_have_text("Total of the last 30 days: no readings")
    expect(energy.locator(".keys")).to_have_count(0)


def test_each_incident_has_a_plain_name_and_the_buttons_of_its_kind(visit: Visit, energy: Locator) -> None:
    sent: list[Any] = []

    def decide(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json=incident(0, "fall", "confirmed"))

    visit.page.route("**/api/devices/*/incidents/*/", decide)
    visit.world.register()
    visit.page.reload()
    panel = visit.page.locator("section[aria-labelledby=incidents]")
    expect(panel.get_by_role("button", name="Confirm").first).to_be_visible()
    for kind, (_, ways) in KINDS.items():
        shown = panel.locator(f'[data-incident="{kind}"]')
        expect(shown.locator("strong")).not_to_have_text(kind.replace("_", " ").capitalize())
        expect(shown.locator(".deciding button:not(.plain)")).to_have_count(ways)
    save(panel.locator('[data-incident="unit_change"]'), "Reject")
    assert sent == [{"status": "rejected", "reason": "was looked at"}]


def test_a_dip_of_a_while_says_how_long_it_was(visit: Visit, energy: Locator) -> None:
    until = {"until": "2026-03-02T00:00:00+00:00"}
    dips = [
        incident(1, "dip", "noted"),
        incident(2, "dip", "noted") | until,
        incident(3, "dip", "noted") | until | {"value": 12_700.0},
    ]
    page = {"count": 3, "next": None, "previous": None, "results": dips}
    visit.page.unroute("**/api/incidents/?*")
    visit.page.route("**/api/incidents/?*", lambda route: route.fulfill(json=page))
    visit.page.reload()
    shown = visit.page.locator('[data-incident="dip"]')
    expect(shown).to_have_count(3)
    assert len(set(shown.locator("strong").all_text_contents())) == 3
    for number, there in ((0, False), (1, True), (2, True)):
        assert ("2 Mar 2026" in (shown.nth(number).text_content() or "")) is there


def test_a_decision_can_be_undone(visit: Visit, energy: Locator) -> None:
    sent: list[Any] = []
    known = {"decided_by": "admin", "settled": True}
    decided = [incident(1, "fall", "confirmed") | known, incident(2, "suspect_step", "rejected") | known]
    page = {"count": 2, "next": None, "previous": None, "results": decided}

    def undo(route: Route) -> None:
        sent.append(route.request.post_data_json)
        route.fulfill(json=incident(1, "fall", "open"))

    visit.page.unroute("**/api/incidents/?*")
    visit.page.route("**/api/incidents/?*", lambda route: route.fulfill(json=page))
    visit.page.route("**/api/devices/*/incidents/*/", undo)
    visit.world.register()
    visit.page.reload()
    panel = visit.page.locator("section[aria-labelledby=incidents]")
    for kind, names in (("fall", ["Reject", "Undo"]), ("suspect_step", ["Confirm", "Undo"])):
        expect(panel.locator(f'[data-incident="{kind}"]').get_by_role("button")).to_have_text(names)
    expect(panel.locator('[data-incident="fall"]')).to_contain_text("admin")
    save(panel.locator('[data-incident="fall"]'), "Undo")
    assert sent == [{"status": "open", "reason": "was looked at"}]


def test_all_of_it_keeps_nobody_out_and_fits_a_phone(visit: Visit, energy: Locator) -> None:
    page = visit.page
    energy.locator(".column").nth(5).hover()
    for theme in ("light", "dark"):
        expect(page.locator("html")).to_have_attribute("data-theme", theme)
        assert serious(page) == []
        shoot(page, f"energy-notes-{theme}")
        if theme == "light":
            page.get_by_role("button", name="Dark mode").click()
