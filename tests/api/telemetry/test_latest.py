"""The newest reading of each device, and the devices that were heard."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest

from greenpower.api.http.cursor import pack
from greenpower.mongo.readings.latest import find_devices, find_latest
from greenpower.mongo.schema.layout import SEEN
from tests.api.conftest import PATH, Api

START = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
LATEST, DEVICES = PATH + "latest/", PATH + "devices/"


def _walk(api: Api, path: str, **parameters: Any) -> list[dict[str, Any]]:
    body = api.get(path, **parameters).get_json()
    rows = list(body["results"])
    while body["next"]:
        body = api.get(body["next"]).get_json()
        rows += body["results"]
    return rows


def test_the_newest_by_measured_time_of_each_device(api: Api) -> None:
    # Inserted in an order of arrival that is not that of measuring.
    for place in (2, 9, 4):
        api.add(*[(f"M{n:03}", START + timedelta(minutes=place, seconds=n), {"volts": place}) for n in range(40)])
    rows = api.get(LATEST).get_json()["results"]
    assert [row["device_id"] for row in rows] == [f"M{n:03}" for n in range(40)]
    assert list(rows[0]) == ["id", "topic", "device_id", "timestamp", "payload"]
    assert {row["payload"]["volts"] for row in rows} == {9} and rows[7]["timestamp"] == "2026-03-01T00:09:07.000Z"
    newest = api.readings.find_one({"device_id": "M007"}, sort=[("timestamp", -1)])
    assert newest is not None and rows[7]["id"] == str(newest["_id"])
    assert _walk(api, LATEST, page_size=7) == rows
    asked = api.get(LATEST, device_id="M003,M039").get_json()["results"]
    assert [row["device_id"] for row in asked] == ["M003", "M039"]
    assert api.get(LATEST, fields="energy").get_json()["results"][0]["payload"] == {}
    assert find_devices(api.readings, 3) == ["M000", "M001", "M002"]


def test_it_costs_a_look_up_a_device(api: Api) -> None:
    api.add(*[(f"M{n % 20}", START + timedelta(seconds=n), {"volts": n}) for n in range(4_000)])
    database = api.database
    database.command("profile", 2)
    try:
        assert len(find_latest(api.readings, (), "", 100, {"payload": 1})) == 20
        profiled = database["system.profile"].find_one({"op": "command", "ns": api.readings.full_name})
    finally:
        database.command("profile", 0)
        database["system.profile"].drop()
    assert profiled is not None and "DISTINCT_SCAN" in profiled["planSummary"]
    assert profiled["docsExamined"] <= 21 and profiled["keysExamined"] <= 41


def test_devices_with_first_and_last_and_counts(api: Api) -> None:
    seen = api.database[SEEN]
    seen.delete_many({})
    seen.insert_many(
        [
            {
                "_id": f"{kind}|M{n:02}",
                "type": kind,
                "device_id": f"M{n:02}",
                "first_seen": START,
                "last_heard": START + timedelta(hours=n),
                **({"last_reading": START + timedelta(minutes=n)} if n else {}),
            }
            for kind in ("probe", "probe2", "prob")
            for n in range(12)
        ]
    )
    api.add(*[("M01", START + timedelta(seconds=n), {"volts": n}) for n in range(5)])
    rows = _walk(api, DEVICES, page_size=5)
    assert [row["device_id"] for row in rows] == [f"M{n:02}" for n in range(12)]
    assert rows[1] == {
        "device_id": "M01",
        "first_seen": "2026-03-01T00:00:00.000Z",
        "last_heard": "2026-03-01T01:00:00.000Z",
        "last_seen": "2026-03-01T01:00:00.000Z",
        "last_reading": "2026-03-01T00:01:00.000Z",
        "readings": 5,
    }
    assert rows[0]["last_reading"] is None and rows[0]["readings"] == 0
    assert api.get(DEVICES, device_id="M03,M09").get_json()["results"] == [rows[3], rows[9]]
    assert {row["readings"] for row in api.get(DEVICES, count="none").get_json()["results"]} == {None}
    assert api.get(DEVICES, count="exact").get_json()["results"] == rows
    seen.delete_many({})


@pytest.mark.parametrize("path", [LATEST, DEVICES])
@pytest.mark.parametrize(
    "parameters", [{"cursor": "x"}, {"page_size": 0}, {"page_size": 5_000}, {"start_time": "2026"}]
)
def test_what_cannot_be_used_is_refused(api: Api, path: str, parameters: dict[str, Any]) -> None:
    assert api.get(path, **parameters).status_code == 422


@pytest.mark.parametrize("devices", [(), ("M1",), ("M1", "M7", "M8")])
@pytest.mark.parametrize("order", ["asc", "desc"])
def test_a_page_by_position_reads_little_however_deep(api: Api, devices: tuple[str, ...], order: str) -> None:
    api.add(*[(f"M{n % 10}", START + timedelta(seconds=n // 10), {"volts": n}) for n in range(12_000)])
    ask: dict[str, Any] = {"device_id": devices, "order": order, "page_size": 20, "start_time": "2026-03-01"}
    deep = api.get(PATH, **ask, page=25).get_json()["results"][-1]
    cursor = pack("raw", order, datetime.fromisoformat(deep["timestamp"]), deep["device_id"])
    database = api.database
    database.command("profile", 2)
    try:
        rows = api.get(PATH, **ask, cursor=cursor).get_json()["results"]
        read = list(database["system.profile"].find({"op": "query", "ns": api.readings.full_name}))
    finally:
        database.command("profile", 0)
        database["system.profile"].drop()
    following = api.get(PATH, **ask, page=26).get_json()["results"]
    assert rows == following
    assert read and sum(query["docsExamined"] for query in read) <= 3 * 20 + 30, [q["planSummary"] for q in read]
