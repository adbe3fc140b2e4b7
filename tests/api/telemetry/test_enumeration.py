"""Enumerations in the API: names with the data types, the last code of a bucket, and for how long each held."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from greenpower.mongo.client import Document
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import Meters, make_meters
from tests.every_kind import EVERY_KIND, FAULTS, MODES

URL = "/api/telemetry/every-kind-data/"
MINUTE = timedelta(minutes=1)


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory, mongod: Mongod) -> Iterator[Meters]:
    app, meters = make_meters(tmp_path_factory.mktemp("enums"), mongod.uri, "test_enumerations", (EVERY_KIND,))
    meters.clear()
    yield meters
    close_app(app)


@pytest.fixture(scope="module")
def begin(world: Meters) -> datetime:
    """Six hours of yesterday in which a device was in three modes, and silent for an hour."""
    begin = world.now.replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1)
    modes = {0: 2, 100: 0, 150: 2, 240: 7}
    documents: list[Document] = []
    mode = 0
    for number in range(360):
        mode = modes.get(number, mode)
        if 180 <= number < 240:  # silent
            continue
        documents.append(
            {
                "device_id": "E1",
                "topic": "EVERY_KIND",
                "timestamp": begin + number * MINUTE,
                "received_at": begin,
                "updated_at": begin,
                "payload": {"mode": mode, "faults": 33 if mode == 7 else 0, "power": 1.5},
                "complete": True,
            }
        )
    world.database[EVERY_KIND.collection].insert_many(documents)
    world.run_rollups()
    return begin


def test_names_are_told_with_the_data_types(world: Meters) -> None:
    [told] = world.get("/api/data-types/").get_json()["results"]
    fields = {field["name"]: field for field in told["fields"]}
    assert (fields["mode"]["kind"], fields["mode"]["bits"]) == ("enumeration", False)
    assert fields["mode"]["codes"] == {str(code): name for code, name in MODES.items()}
    assert fields["faults"]["codes"] == {str(bit): name for bit, name in FAULTS.items()}
    assert fields["faults"]["bits"] and fields["power"]["codes"] == {}


@pytest.mark.parametrize("resolution", ["30m", "3h", "6h"])
def test_how_long_each_code_held(world: Meters, begin: datetime, resolution: str) -> None:
    end = begin + timedelta(hours=6)
    body = world.body(
        URL,
        resolution=resolution,
        stats="true",
        start_time=begin.isoformat(),
        end_time=(end - timedelta(seconds=1)).isoformat(),
    )
    states = [row["stats"]["mode"] for row in body["results"] if "mode" in row["stats"]]
    # The last value before the silence holds on, as far as there is a bucket: none begins where nothing was sent.
    hold = EVERY_KIND.stale_after / 60 if resolution != "30m" else 1
    assert sum(state["n"] for state in states) == 300
    assert sum(state["seconds"].get("2", 0) for state in states) == (100 + 29 + hold) * 60
    assert sum(state["seconds"].get("0", 0) for state in states) == 50 * 60
    assert sum(state["seconds"].get("7", 0) for state in states) == 120 * 60
    faults = [row["stats"]["faults"] for row in body["results"] if "faults" in row["stats"]]
    assert {name for state in faults for name in state["seconds"]} <= {str(bit) for bit in FAULTS}
    assert sum(state["seconds"].get("5", 0) for state in faults) == 120 * 60
    assert sum(state["held"] for state in faults) == (299 + hold) * 60
    if resolution == "6h":
        [row] = body["results"]
        assert row["payload"]["mode"] == 7 and row["stats"]["mode"]["changes"] == 3
