"""A device whose register tells a story, its page, and what the page and the API say of its energy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from playwright.sync_api import Locator

from tests.dashboard.conftest import Visit
from tests.dashboard.world import ZONE, World
from tests.wait import wait_until

QUARTER = timedelta(minutes=15)
Row = dict[str, Any]
OF_PEOPLE = ("counter_incidents", "meter_exchanges", "corrections")


def noon() -> datetime:
    """Yesterday noon at the site."""
    today = datetime.now(ZoneInfo(ZONE)).replace(hour=12, minute=0, second=0, microsecond=0)
    return (today - timedelta(days=1)).astimezone(UTC)


def local(at: datetime) -> str:
    """As it is typed into the field."""
    return f"{at.astimezone(ZoneInfo(ZONE)):%Y-%m-%dT%H:%M:%S}"


@contextmanager
def device_with_register(world: World, device: str, register: Callable[[int], float]) -> Iterator[int]:
    """A device that sent a register every quarter of an hour, from half a day before noon of yesterday to half a day
    after; its number.

    register: by quarter-hours since noon. Each reading is 5 minutes after the quarter.
    """
    rows = []
    for index in range(-48, 48):
        at = noon() + index * QUARTER + timedelta(minutes=5)
        base = {"device_id": device, "timestamp": at, "received_at": at, "updated_at": at, "complete": True}
        rows.append({**base, "topic": "MQTT_ENY_NOW", "payload": {"zygsz": register(index), "zwgsz": 900.0}})
    world.db["grid_eny_now_data"].insert_many([row for row in rows if at_of(row) < datetime.now(UTC)])
    made = world.ask("POST", "/api/devices/", json={"device_id": device, "types": ["eny_now"]})
    world.run("rollups", "backfill", "--type", "eny_now")
    yield int(made["id"])
    world.ask("DELETE", f"/api/devices/{made['id']}/")
    for name in world.db.list_collection_names():
        if "energy" in name or name.endswith("grid_eny_now_data") or name in OF_PEOPLE:
            world.db[name].delete_many({"device_id": device})


def at_of(row: Row) -> datetime:
    at: datetime = row["timestamp"]
    return at


def open_panel(visit: Visit, device: str, name: str) -> Locator:
    """A panel of the device's page, which is loaded again."""
    visit.page.goto(f"{visit.world.base}/#/device/eny_now/{device}")
    visit.page.reload()
    return visit.page.locator(f"section[aria-labelledby={name}]")


def days_of(world: World, device: str) -> dict[str, float | None]:
    """The energy of the last days, as the API tells it once all is computed."""

    def answer() -> Row | None:
        world.run("rollups", "run", "--type", "eny_now")
        query = {"device_id": device, "field": "zygsz", "bucket": "day", "tz": ZONE}
        found = world.get("/api/telemetry/eny-now-data/consumption/", **query)
        waiting = world.db["rollup_marks"].count_documents({"device_id": device})
        return found if not waiting else None

    found = wait_until(answer, 60)
    assert found is not None
    return {row["bucket"]: row["energy"] for row in found["results"]}


def bars_of(visit: Visit) -> dict[str, float | None]:
    """The energy of the last days, as the page shows it."""
    columns = visit.page.locator(".column")
    columns.first.wait_for()
    shown = columns.evaluate_all("all => all.map(one => [one.dataset.bucket, one.dataset.energy])")
    return {bucket: float(energy) if energy else None for bucket, energy in shown}
