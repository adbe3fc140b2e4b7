"""What a page is told of the data types, of incidents and of the rollups."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from greenpower.mongo.schema.layout import INCIDENTS
from tests.api.conftest import PROBE, SILENT, Api, refused

AT = datetime(2026, 1, 26, 12, tzinfo=UTC)


def test_types_are_told_as_they_are_declared(api: Api) -> None:
    response = api.get("/api/data-types/")
    told = {one["name"]: one for one in response.get_json()["results"]}
    assert told.keys() == {PROBE.name, SILENT.name}
    probe = told[PROBE.name]
    assert (probe["title"], probe["path"], probe["stale_after"]) == ("Probe", "/api/telemetry/probe-data/", 60)
    assert probe["resolutions"] == ["raw"] and probe["tiers"] == []
    assert probe["fields"][0] == {
        "name": "volts",
        "title": "voltage",
        "unit": "V",
        "quantity": "voltage",
        "kind": "gauge",
        "codes": {},
        "bits": False,
        "low": 0,
        "high": 500,
    }
    assert told[SILENT.name]["path"] is None
    again = api.client.get(
        "/api/data-types/",
        headers={"Authorization": f"Bearer {api.tokens['access']}", "If-None-Match": response.headers["ETag"]},
    )
    assert again.status_code == 304


def test_incidents_are_listed_newest_first_those_that_hold(api: Api) -> None:
    def incident(hour: int, **more: Any) -> dict[str, Any]:
        known = {"type": "probe", "device_id": "D1", "field": "energy", "at": AT.replace(hour=hour), "swap": False}
        said = {"incident": "reset", "value": 0.5, "before": 900.0, "correction": 900.0, "status": "noted"}
        return {**known, **said, "current": True, **more}

    api.database[INCIDENTS].delete_many({})
    swap = incident(3, swap=True, incident="swap", status="confirmed")
    for name in ("value", "before", "correction"):
        del swap[name]
    api.database[INCIDENTS].insert_many(
        [incident(1), incident(2, incident="suspect_step", status="open"), swap, incident(4, current=False),
         incident(5, device_id="D2")]
    )  # fmt: skip
    body = api.get("/api/incidents/", device_id="D1", type="probe").get_json()
    assert [one["incident"] for one in body["results"]] == ["swap", "suspect_step", "reset"] and body["count"] == 3
    assert body["results"][0]["before"] is None and body["results"][2]["before"] == 900
    assert body["results"][2]["at"].startswith("2026-01-26T01:00:00")
    assert len(api.get("/api/incidents/", status="open").get_json()["results"]) == 1
    assert api.get("/api/incidents/", start_time="2026-01-26T05:00:00Z").get_json()["count"] == 1
    assert api.get("/api/incidents/", device_id="$ne").status_code == 422
    api.database[INCIDENTS].delete_many({})


def test_all_three_need_a_token(api: Api) -> None:
    for path in ("/api/data-types/", "/api/incidents/", "/api/rollups/"):
        assert refused(api.client.get(path))


def test_rollups_of_types_without_tiers_are_none(api: Api) -> None:
    assert api.get("/api/rollups/").get_json() == {"results": []}
