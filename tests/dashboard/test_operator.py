"""What operators do on the page: commands to a device, decisions on incidents, devices by zone."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Locator, expect

from greenpower.catalog.registry import load_registry
from tests.control.conftest import Meter
from tests.dashboard.conftest import Visit
from tests.dashboard.world import METER, World
from tests.process import Command
from tests.wait import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


@contextmanager
def listening(world: World, folder: Path) -> Iterator[Meter]:
    """The meter listens, and a worker works."""
    simulated_response = load_registry(None)["rt"].simulated_response
    assert simulated_response is not None
    with (
        closing(Meter(METER, simulated_response.topics(METER), simulated_response.obey, world.broker)) as meter,
        Command(world.settings, "worker", folder=folder) as worker,
    ):
        yield meter
        assert worker.stop() == 0  # so that it signs off: other tests look whether a worker lives


def online(world: World) -> int:
    """Let the registry know that the meter is online; its number there."""
    number = world.register()

    def is_online() -> bool:
        (found,) = world.get("/api/devices/", device_id=METER)["results"]
        if found["status"] != "online":
            world.register()
        return bool(found["status"] == "online")

    wait_until(is_online, 40, every=0.5)
    return number


def panel(visit: Visit, name: str, type_name: str = "rt") -> Locator:
    """A panel of the meter's page."""
    visit.page.goto(f"{visit.world.base}/#/device/{type_name}/{METER}")
    return visit.page.locator(f"section[aria-labelledby={name}]")


def test_an_operator_tells_a_device_something(visit: Visit, tmp_path: Path) -> None:
    online(visit.world)
    with listening(visit.world, tmp_path) as meter:
        commands = panel(visit, "commands")
        commands.locator("select").first.select_option(label="Set the upload interval of instantaneous values")
        commands.locator("select[name=interval]").select_option(label="60 s")
        commands.get_by_role("button", name="Send").click()
        first = commands.locator(".given li").first
        expect(first).to_have_attribute("data-verified", "true", timeout=40_000)
        for part in ("60 s", "admin"):
            expect(first).to_contain_text(part)
        assert meter.memory["value 0000 1"] == "60"
        commands.locator("select").first.select_option(label="Switch relay 1")
        commands.locator("select[name=on]").select_option(label="yes")
        commands.get_by_role("button", name="Send").click()
        expect(commands.get_by_role("button", name="Confirm")).to_be_visible()
        commands.get_by_role("button", name="Cancel").click()
        commands.locator("select").first.select_option(label="Switch relay 1")
        commands.locator("select[name=on]").select_option(label="yes")
        commands.get_by_role("button", name="Send").click()
        assert "do1" not in meter.memory
        commands.get_by_role("button", name="Confirm").click()
        expect(first).to_contain_text("Switch relay 1")
        expect(first.locator(".tag")).to_have_text("done", timeout=40_000)
        assert meter.memory["do1"] == "1"


def test_an_operator_decides_an_incident(visit: Visit) -> None:
    visit.world.register()
    incidents = panel(visit, "incidents", "eny_now").locator('[data-incident="reset"]')
    incident = incidents.first
    for name, status in (("Reject", "rejected"), ("Confirm", "confirmed")):
        incident.get_by_role("button", name=name).click()
        incident.get_by_label("Reason").fill(f"to be {status}")
        incident.get_by_role("button", name="Save the decision").click()
        expect(incident.locator(".tag")).to_have_text(status)
    expect(incident).to_contain_text("to be confirmed")
    decided = visit.world.get("/api/incidents/", device_id=METER, status="confirmed")["results"]
    assert ("reset", "to be confirmed") in {(item["incident"], item["reason"]) for item in decided}


def test_devices_are_grouped_by_zone(visit: Visit) -> None:
    number = visit.world.register()
    zone = visit.world.ask("POST", "/api/service-zones/", json={"name": "Block A"})
    spare = visit.world.ask("POST", "/api/devices/", json={"device_id": "SPARE", "types": ["environment"]})
    try:
        visit.world.ask("PATCH", f"/api/devices/{number}/", json={"zone_id": zone["id"]})
        page = visit.page
        page.reload()
        page.get_by_label("Group by").select_option(label="Zone")
        sections = page.locator("main section")
        expect(sections).to_have_count(2)
        assert [section.get_attribute("aria-label") for section in sections.all()] == ["Block A", "No zone"]
        expect(page.get_by_role("region", name="Block A")).to_contain_text(METER)
        expect(page.get_by_role("region", name="No zone")).to_contain_text("SPARE")
        expect(page.get_by_role("region", name="No zone")).not_to_contain_text(METER)
        page.get_by_label("Search").fill("block a")
        expect(sections).to_have_count(1)
        page.get_by_label("Group by").select_option(label="Type")
        expect(page.get_by_role("region", name=load_registry(None)["rt"].title)).to_contain_text(METER)
    finally:
        visit.world.ask("DELETE", f"/api/devices/{spare['id']}/")
        visit.world.ask("PATCH", f"/api/devices/{number}/", json={"zone_id": None})
        visit.world.ask("DELETE", f"/api/service-zones/{zone['id']}/")
