"""Energy of deltas: consumption, incidents and decisions, before, while and after the rollups, from each tier."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import INTERVALS, INVALIDATIONS
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import Meters, make_meters
from tests.every_kind import EVERY_KIND

URL = "/api/telemetry/every-kind-data/"
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
DEVICE = "D1"


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Meters]:
    app, meters = make_meters(tmp_path_factory.mktemp("deltas"), mongod.uri, "test_deltas", (EVERY_KIND,))
    yield meters
    close_app(app)


@pytest.fixture
def world(shared: Meters) -> Meters:
    shared.clear()
    return shared


def midnight(world: Meters, days: int) -> datetime:
    return world.now.replace(hour=0, minute=0, second=0, microsecond=0) - days * DAY


def store(world: Meters, samples: list[tuple[datetime, float]], device: str = DEVICE) -> None:
    world.database[EVERY_KIND.collection].insert_many(
        [
            {
                "device_id": device,
                "topic": "EVERY_KIND",
                "timestamp": time,
                "received_at": time,
                "updated_at": time,
                "payload": {"used": value, "power": 1.0},
                "complete": True,
            }
            for time, value in samples
        ]
    )


def ask(world: Meters, start: datetime, end: datetime, bucket: str = "hour", **more: Any) -> Document:
    return world.body(
        URL + "consumption/",
        field="used",
        device_id=DEVICE,
        bucket=bucket,
        tz="UTC",
        start_time=start.isoformat(),
        end_time=end.isoformat(),
        **more,
    )


@pytest.mark.parametrize("rolled", ["not yet", "half", "all", "readings expired"])
def test_a_delta_counts_its_values_and_has_no_registers(world: Meters, rolled: str) -> None:
    begin = midnight(world, 6)
    samples = [(begin + 20 * MINUTE * number, 0.1 * (number % 7)) for number in range(3 * 72)]
    store(world, samples)
    if rolled != "not yet":
        world.run_rollups(begin + DAY if rolled == "half" else None)
    if rolled == "readings expired":
        world.database[EVERY_KIND.collection].delete_many({})
    for bucket, length in (("hour", HOUR), ("day", DAY)):
        body = ask(world, begin, begin + 3 * DAY, bucket)
        rows = body["devices"][0]["results"]
        for number, row in enumerate(rows):
            start = begin + number * length
            counts = sum(round(value * 10**6) for time, value in samples if start <= time < start + length)
            assert row["energy"] == counts / 10**6
            assert row["first"] is None and row["last"] is None
            assert row["samples"] == length // (20 * MINUTE) and row["final"] and not row["undecided"]
        assert body["total"] == sum(round(value * 10**6) for _, value in samples) / 10**6


def test_a_value_beyond_what_can_be_used_waits_for_an_operator(world: Meters) -> None:
    begin = midnight(world, 4)
    samples = [(begin + 15 * MINUTE * number, 2.0) for number in range(96)]
    samples[40] = (samples[40][0], 5000.0)
    store(world, samples)
    for _ in range(2):
        body = ask(world, begin, begin + DAY, "day")
        assert (body["total"], body["undecided"]) == (190.0, True)
        world.run_rollups()
    [incident] = world.get("/api/incidents/", type="every_kind").get_json()["results"]
    assert incident["incident"] == "suspect_step" and incident["status"] == "open"
    assert (incident["field"], incident["value"], incident["correction"]) == ("used", 5000.0, -5000.0)
    path = "/api/devices/"
    device = world.client.post(
        path, json={"device_id": DEVICE, "name": "A device"}, headers=_headers(world)
    ).get_json()["id"]
    one = f"{path}{device}/incidents/{incident['id']}/"
    for status, total in (("confirmed", 5190.0), ("rejected", 190.0), ("open", 190.0)):
        answered = world.client.patch(one, json={"status": status}, headers=_headers(world))
        assert answered.status_code == 200, answered.text
        for _ in range(2):
            world.run_rollups()
        body = ask(world, begin, begin + DAY, "day")
        assert (body["total"], body["undecided"]) == (total, status == "open")
        assert not world.database[INVALIDATIONS].count_documents({})


def test_late_deltas_and_buckets_of_every_tier_agree(world: Meters) -> None:
    begin = midnight(world, 8)
    samples = [(begin + 7 * MINUTE * number, 0.25) for number in range(600)]
    store(world, samples)
    world.run_rollups()
    for tier in EVERY_KIND.tiers:
        found = world.database[tier.prefix + EVERY_KIND.collection].find({"device_id": DEVICE})
        states = [document["stats"]["used"] for document in found]
        if tier.prefix == "this_year_":
            assert sum(state["total"] for state in states) == 150.0
            assert sum(state["n"] for state in states) == 600
    days = world.database[INTERVALS].find({"field": "used"})
    assert {(document["last"], bool(document["last_at"])) for document in days} == {(None, True)}
    rows = world.body(
        URL, resolution="6h", stats="true", start_time=begin.isoformat(), end_time=(begin + DAY).isoformat()
    )["results"]
    assert rows[0]["stats"]["used"]["energy"] == rows[0]["payload"]["used"]


def _headers(world: Meters) -> dict[str, str]:
    return {"Authorization": f"Bearer {world.tokens['access']}"}
