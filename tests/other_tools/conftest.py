"""The API of the installed data types, with a meter that is heard now and whose register began again yesterday."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from greenpower.catalog.registry import load_registry
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import Meters, make_meters

DEVICE = "33B1225950027"
OTHER = "=33B12"
HOURS = 60


class Site(Meters):
    """The API, and a key as these tools hold one."""

    key: str

    def fill(self) -> None:
        """Readings each half hour up to a minute ago, of a device that has an ordinary id and of one that has none."""
        now = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        for name, collection in ((one.name, one.collection) for one in self.types if one.name in ("rt", "eny_now")):
            self.database[collection].insert_many(
                {
                    "device_id": device,
                    "topic": "T",
                    "timestamp": (time := now - timedelta(minutes=30 * (2 * HOURS - number))),
                    "received_at": time,
                    "updated_at": time,
                    "payload": payload(name, number),
                    "complete": True,
                }
                for device in (DEVICE, OTHER)
                for number in range(2 * HOURS + 1)
            )
            self.database["devices_seen"].insert_many(
                {
                    "_id": f"{name}|{device}", "type": name, "device_id": device, "first_seen": now,
                    "last_heard": now, "last_reading": now,
                }
                for device in (DEVICE, OTHER)
            )  # fmt: skip
        self.run_rollups()

    def make_key(self) -> None:
        """A key that may read telemetry."""
        body = {"name": "tools", "scopes": ["telemetry:read"]}
        headers = {"Authorization": f"Bearer {self.tokens['access']}"}
        made = self.client.post("/api/api-keys/", json=body, headers=headers)
        assert made.status_code == 201, made.text
        self.key = made.get_json()["key"]


def payload(name: str, number: int) -> dict[str, float]:
    """The values of a reading: the register is set back to 0 half a day before the end."""
    if name == "rt":
        return {"zyggl": 1.5 + number % 3, "ua": 230.25, "ub": 231.0}
    reset = 2 * HOURS - 24
    return {"zygsz": 1000 + number * 0.5 if number < reset else (number - reset) * 0.5}


@pytest.fixture(scope="package")
def site(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Site]:
    """The API, filled."""
    types = tuple(load_registry(None))
    app, meters = make_meters(tmp_path_factory.mktemp("other_tools"), mongod.uri, "test_other_tools", types)
    site = Site(app, meters.settings)
    site.types = types
    site.clear()
    site.fill()
    site.make_key()
    yield site
    close_app(app)
