"""Plugins of the catalogue: what their devices send over MQTT, from ingest to the API."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pymongo.database import Database

from greenpower.app import create_app
from greenpower.catalog.registry import Registry, discover
from greenpower.catalog.site import read_site
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.ingest.arrival import Arrival
from greenpower.rollups.plan import make_plans
from greenpower.rollups.run import run_tier
from tests.api.conftest import Api, close_app
from tests.ingest.catalogue import COUNTERS, FAMILIES, SITE, STORED, sent
from tests.ingest.conftest import Document
from tests.ingest.told import go_through

#: a slot of all that gather, 20 minutes ago; the second message comes 10 minutes later
FIRST = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(minutes=20)
LATER = FIRST + timedelta(minutes=10)


def arrivals(family: str, at: datetime, more: float, **given: Any) -> list[Arrival]:
    """What devices of a family publish at a time, a tenth of a second from one to the next."""
    found = []
    for number, (topic, content) in enumerate(sent(at, more)[family]):
        body = json.dumps(content) if isinstance(content, dict) else content
        arrival = Arrival(
            topic=topic, payload=body.encode(), received_at=at + timedelta(milliseconds=100 * number), source="mqtt"
        )
        for name, value in given.items():
            setattr(arrival, name, value)
        found.append(arrival)
    return found


@pytest.fixture
def registry(tmp_path: Path) -> Registry:
    path = tmp_path / "site.toml"
    path.write_text(SITE)
    return discover(read_site(path), ",".join(FAMILIES))


@pytest.fixture
def api(settings: Settings, registry: Registry) -> Iterator[Api]:
    init_sql(settings)
    app = create_app(settings, registry)
    yield Api(app, settings)
    close_app(app)


def of(families: Iterable[str], at: datetime, more: float, **given: Any) -> list[Arrival]:
    return [arrival for family in families for arrival in arrivals(family, at, more, **given)]


def test_all_values_are_stored_converted_and_served(
    settings: Settings, db: Database[Document], registry: Registry, api: Api
) -> None:
    first, later = of(FAMILIES, FIRST, 0), of(FAMILIES, LATER, 0.5)
    retained = of(("shelly_gen1", "opendtu", "victron", "homeassistant"), LATER, 0.5, retained=True)
    # In a burst, then in parts and the other way round; the whole once more, as after a connection that broke.
    backwards = [*reversed(later)]
    batches = [first, backwards[1::2], backwards[::2], of(FAMILIES, LATER, 0.5, dup=True), retained]
    told = go_through(settings, batches, registry=registry)

    assert db.telemetry_events.count_documents({}) == sum(map(len, batches))
    assert not list(db.telemetry_events.find({"$or": [{"outcome": "rejected"}, {"left_out": {"$exists": True}}]}))
    for datatype in registry:
        run_tier(db, make_plans(datatype, settings)[0], settings)
    for family, devices in STORED.items():
        datatype = registry[family]
        readings = list(db[datatype.collection].find().sort("timestamp"))
        found: dict[str, Document] = {}
        for reading in readings:
            found.setdefault(reading["device_id"], {}).update(
                reading["payload"] if reading["timestamp"] < LATER - timedelta(seconds=10) else {}
            )
        assert found == devices, family
        assert len(readings) == 2 * len(devices), family

        for device, payload in devices.items():
            newest = told.kept[family, device]["payload"]
            assert newest.keys() == payload.keys(), device
        path = f"/api/telemetry/{datatype.endpoint}/"
        span = {
            "start_time": (FIRST - timedelta(minutes=5)).isoformat(),
            "end_time": (LATER + timedelta(minutes=5)).isoformat(),
        }
        device, payload = next(iter(devices.items()))
        listed = api.get(path, device_id=device, resolution="raw", **span).get_json()["results"]
        assert [item["payload"].keys() for item in listed] == [payload.keys()] * 2, family
        buckets = api.get(path, device_id=device, resolution="1m", **span).get_json()["results"]
        assert buckets and all(item["payload"].keys() == payload.keys() for item in buckets), family
        (latest,) = api.get(f"{path}latest/", device_id=device).get_json()["results"]
        assert latest["payload"].keys() == payload.keys(), family
        counter = COUNTERS.get(family, "active_energy")
        used = api.get(f"{path}consumption/", device_id=device, field=counter, **span).get_json()
        assert used["devices"][0]["total"] == pytest.approx(0.5), (family, used)
