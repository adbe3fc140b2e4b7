"""Corrections over the API: made, listed, ended, withdrawn, refused; what they give; their feed."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from pyarrow import parquet
from werkzeug.test import TestResponse

from greenpower.app import create_app
from greenpower.catalog.registry import Registry
from greenpower.cli.init import init_sql
from greenpower.config import Settings
from greenpower.mongo.corrections.touch import invalidate_changed_corrections
from greenpower.mongo.schema.layout import CORRECTIONS, INVALIDATIONS, ensure_indexes
from tests.api.conftest import Api, close_app
from tests.api.energy.test_device_incidents import MINUTE, T0, Meter
from tests.rollups.world import POWER

UNKNOWN = "6743c1f2a1b2c3d4e5f60718"


@pytest.fixture
def meter(settings: Settings) -> Iterator[Meter]:
    """A meter of the small world."""
    init_sql(settings)
    app = create_app(settings, Registry.of(replace(POWER, endpoint="power-data")))
    api = Api(app, settings)
    ensure_indexes(api.database, (POWER,), settings)
    yield Meter(api, settings)
    close_app(app)


def post(meter: Meter, kind: str, begin: float, end: float | None = None, **more: Any) -> TestResponse:
    """begin, end: minutes."""
    body = {"type": "power", "field": "c", "kind": kind, "begin": at(begin), "reason": "why", **more}
    return meter.send("POST", path(meter), body if end is None else {**body, "end": at(end)})


def at(minute: float) -> str:
    return (T0 + minute * MINUTE).isoformat()


def path(meter: Meter, correction: Any = None) -> str:
    return f"/api/devices/{meter.id}/corrections/" + ("" if correction is None else f"{correction['id']}/")


def change(meter: Meter, method: str, correction: Any, body: Any = None, **query: str) -> TestResponse:
    headers = {"Authorization": f"Bearer {meter.api.tokens['access']}"}
    place = path(meter, correction)
    return meter.api.client.open(place, method=method, json=body, query_string=query, headers=headers)


def test_an_exclusion_is_made_and_withdrawn(meter: Meter) -> None:
    meter.registers(10, 11, 11.5, 12, 12.25, 13)
    assert meter.energy() == 3
    made = post(meter, "exclusion", 4, 100)
    assert made.status_code == 201, made.text
    correction = made.get_json()
    assert (correction["status"], correction["pending"], correction["made_by"]) == ("active", False, "admin")
    assert (correction["kind"], correction["factor"], correction["reason"]) == ("exclusion", None, "why")
    meter.roll()
    assert meter.energy() == 2
    assert change(meter, "GET", correction).get_json() == correction
    withdrawn = change(meter, "DELETE", correction, reason="was right")
    assert withdrawn.status_code == 200, withdrawn.text
    body = withdrawn.get_json()
    assert (body["status"], body["revoked_by"], body["revoke_reason"]) == ("revoked", "admin", "was right")
    meter.roll()
    assert meter.energy() == 3
    assert change(meter, "DELETE", correction).status_code == 409
    assert [one["id"] for one in meter.api.get(path(meter)).get_json()["results"]] == [correction["id"]]


def test_a_factor_makes_one_series_of_two_units(meter: Meter) -> None:
    meter.registers(12.5, 12.6, 12.7, 12800, 12900, 13000, 13100)
    assert round(meter.energy(), 6) == 0.2
    assert [(one["incident"], one["status"]) for one in meter.incidents()] == [("unit_change", "open")]
    correction = post(meter, "factor", 3, factor=0.001).get_json()
    meter.roll()
    assert round(meter.energy(), 6) == 0.6 and meter.incidents() == []
    # The firmware is repaired: from then on the registers count as they are.
    ended = change(meter, "PATCH", correction, {"end": at(5), "reason": "repaired"})
    assert ended.status_code == 200, ended.text
    assert (ended.get_json()["end"], ended.get_json()["end_reason"]) == (
        (T0 + 5 * MINUTE).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "repaired",
    )
    meter.roll()
    assert round(meter.energy(), 6) == 0.4
    assert change(meter, "DELETE", correction).status_code == 200
    meter.roll()
    assert round(meter.energy(), 6) == 0.2
    assert [(one["incident"], one["status"]) for one in meter.incidents()] == [("unit_change", "open")]


REFUSED: tuple[tuple[dict[str, Any], str], ...] = (
    ({"type": "none"}, "type"),
    ({"kind": "none"}, "kind"),
    ({"kind": "exchange"}, "kind"),
    ({"end": at(3)}, "end"),
    ({"kind": "factor"}, "factor"),
    ({"kind": "factor", "factor": 0}, "factor"),
    ({"kind": "factor", "factor": 2, "field": "a"}, "factor"),
    ({"factor": 2}, "factor"),
    ({"begin": "soon"}, "begin"),
    ({"reason": "x" * 301}, "reason"),
    ({"more": 1}, "more"),
)


def test_what_cannot_be_is_refused(meter: Meter) -> None:
    for changed, name in REFUSED:
        body = {"type": "power", "field": "c", "kind": "exclusion", "begin": at(3), **changed}
        response = meter.send("POST", path(meter), body)
        assert response.status_code == 422, response.text
        assert name in str(response.get_json()["errors"])
    assert meter.db[CORRECTIONS].find_one() is None


def test_what_is_in_force_or_gone_is_refused(meter: Meter) -> None:
    meter.registers(10, 11, 11.5, 12, 12.25, 13)
    first = post(meter, "exclusion", 2, 4).get_json()
    assert post(meter, "exclusion", 3, 9).status_code == 409
    assert post(meter, "exclusion", 4, 9).status_code == 201
    assert post(meter, "factor", 2, 4, factor=2).status_code == 201
    for minute in (4, 9, 1):
        assert change(meter, "PATCH", first, {"end": at(minute)}).status_code == 409
    last = post(meter, "factor", 5, factor=3).get_json()
    meter.roll()
    meter.expire(T0 + 3 * MINUTE)
    assert post(meter, "factor", 2.5, 3, factor=2, field="g").status_code == 409
    assert change(meter, "DELETE", first).status_code == 409
    assert change(meter, "PATCH", last, {"end": at(9)}).status_code == 200
    assert change(meter, "DELETE", {"id": UNKNOWN}).status_code == 404
    assert change(meter, "GET", {"id": "x" * 24}).status_code == 404
    assert meter.send("POST", "/api/devices/9999/corrections/", {}).status_code in (404, 422)


def test_lists_and_their_filters(meter: Meter) -> None:
    ids = [
        post(meter, *arguments, **more).get_json()["id"]
        for arguments, more in (
            (("exclusion", 0, 10), {}),
            (("exclusion", 20, 30), {"field": "g"}),
            (("factor", 20), {"factor": 2}),
        )
    ]
    change(meter, "DELETE", {"id": ids[1]})

    def found(**query: str) -> list[int]:
        lists = [meter.api.get(place, **query).get_json() for place in ("/api/corrections/", path(meter))]
        assert lists[0]["results"] == lists[1]["results"]
        assert lists[0]["count"] == len(lists[0]["results"])
        return sorted(ids.index(one["id"]) for one in lists[0]["results"])

    assert found() == [0, 1, 2]
    assert found(status="active") == [0, 2] and found(status="revoked") == [1]
    assert found(kind="exclusion") == [0, 1] and found(field="g") == [1]
    for place in ("/api/corrections/", path(meter)):
        for unknown in ({"type": "other"}, {"field": "other"}):
            assert list(meter.api.get(place, **unknown).get_json()["errors"]["query"]) == list(unknown)
    assert found(start_time=at(10)) == [1, 2] and found(end_time=at(19)) == [0] and found(end_time=at(20)) == [0, 1, 2]
    assert meter.api.get("/api/corrections/", device_id="m2").status_code == 422
    assert len(meter.api.get("/api/corrections/", page_size=2).get_json()["results"]) == 2


def test_the_feed_has_each_change_once(meter: Meter) -> None:
    first = post(meter, "exclusion", 0, 10).get_json()
    second = post(meter, "factor", 20, factor=2).get_json()
    meter.db[CORRECTIONS].update_many({}, [{"$set": {"updated_at": {"$subtract": ["$updated_at", 3_600_000]}}}])
    feed = "/api/corrections/changes/"
    body = meter.api.get(feed, page_size=1).get_json()
    assert [one["id"] for one in body["results"]] == [first["id"]] and body["next"] is not None
    body = meter.api.get(feed, after=body["after"]).get_json()
    assert [one["id"] for one in body["results"]] == [second["id"]] and body["next"] is None
    assert body["results"][0]["updated_at"] < body["until"]
    change(meter, "DELETE", first)
    # Not before its horizon.
    assert meter.api.get(feed, after=body["after"]).get_json()["results"] == []
    meter.db[CORRECTIONS].update_one(
        {"revoked_at": {"$ne": None}}, [{"$set": {"updated_at": {"$subtract": ["$updated_at", 1_800_000]}}}]
    )
    body = meter.api.get(feed, after=body["after"]).get_json()
    assert [(one["id"], one["status"]) for one in body["results"]] == [(first["id"], "revoked")]
    assert meter.api.get(feed, after="nonsense").status_code == 422


def test_what_the_worker_has_to_do_is_done_later(meter: Meter, monkeypatch: pytest.MonkeyPatch) -> None:
    """An API that is killed, or has no time, leaves its token; the device job goes on with it."""
    from greenpower.api.energy import device_corrections

    meter.registers(10, 11, 11.5, 12, 12.25, 13)
    monkeypatch.setattr(device_corrections, "INVALIDATE_SECONDS", 0.0)
    monkeypatch.setattr(device_corrections, "invalidate_changed_corrections", _no_time)
    made = post(meter, "exclusion", 4, 100).get_json()
    assert made["pending"] and meter.db[INVALIDATIONS].find_one() is None
    assert invalidate_changed_corrections(meter.db, (POWER,), meter.settings) == 1
    assert not change(meter, "GET", made).get_json()["pending"]
    meter.roll()
    assert meter.energy() == 2
    assert invalidate_changed_corrections(meter.db, (POWER,), meter.settings) == 0


def _no_time(*arguments: Any) -> int:
    from pymongo.errors import ExecutionTimeout

    raise ExecutionTimeout("no time")


def test_rows_name_the_corrections_that_they_lie_in(meter: Meter) -> None:
    meter.registers(10, 11, 11.5, 12, 12.25, 13)
    factor = post(meter, "factor", 2, 4, factor=2).get_json()["id"]
    hidden = post(meter, "exclusion", 4, 5).get_json()["id"]
    absent = post(meter, "exclusion", 0, 100, field="g").get_json()["id"]
    revoked = post(meter, "factor", 10, factor=5).get_json()
    change(meter, "DELETE", revoked)
    meter.roll()
    wanted = [None, None, [factor], [factor], [hidden], None]
    span = {"start_time": at(0), "end_time": at(30)}
    endpoint = "/api/telemetry/power-data/"

    def named(resolution: str, **more: str) -> list[Any]:
        rows = meter.api.get(endpoint, resolution=resolution, **span, **more).get_json()["results"]
        return [row.get("corrections") for row in rows]

    assert named("raw") == wanted
    assert named("raw", fields="g") == [None] * 6
    sent = meter.api.get(endpoint, resolution="raw", **span).get_json()["results"]
    assert [row["payload"]["c"] for row in sent] == [10, 11, 11.5, 12, 12.25, 13]
    # A bucket cannot tell why it has no such field: the exclusion may be the reason.
    assert [set(ids) for ids in named("30m")] == [{factor, hidden, absent}]
    assert [set(ids) for ids in named("30m", fields="c")] == [{factor, hidden}]
    lines = meter.api.get(f"{endpoint}export/", format="ndjson", **span).text.splitlines()
    assert [json.loads(line).get("corrections") for line in lines] == wanted
    plain, more = (
        meter.api.get(
            f"{endpoint}export/", format="csv", corrections=value, fields="c", units="0", **span
        ).text.splitlines()
        for value in ("false", "true")
    )
    assert plain[0].endswith(",topic,c") and more[0].endswith(",topic,c,corrections")
    assert [line.rsplit(",", 1)[1] for line in more[1:]] == [" ".join(ids or ()) for ids in wanted]
    table = meter.api.get(f"{endpoint}export/", format="parquet", corrections="true", **span).data
    assert parquet.read_table(io.BytesIO(table))["corrections"].to_pylist() == [ids or [] for ids in wanted]
    post(meter, "factor", 5, factor=2)
    [newest] = meter.api.get(f"{endpoint}latest/").get_json()["results"]
    assert len(newest["corrections"]) == 1 and newest["payload"]["c"] == 13


def swap(meter: Meter, method: str, incident: Any, body: Any = None, **query: str) -> TestResponse:
    headers = {"Authorization": f"Bearer {meter.api.tokens['access']}"}
    place = f"/api/devices/{meter.id}/meter-swaps/{incident['id']}/"
    return meter.api.client.open(place, method=method, json=body, query_string=query, headers=headers)


def test_a_swap_is_moved_and_withdrawn(meter: Meter) -> None:
    meter.registers(100, 101, 102, 2, 3, 4)
    before = meter.energy()
    report = {"type": "power", "at": at(1.5), "readings": {"c": {"last": 110, "first": 1}}, "reason": "new meter"}
    made = meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", report)
    assert made.status_code == 201, made.text
    [incident] = made.get_json()["results"]
    meter.roll()
    moved = swap(meter, "PATCH", incident, {"at": at(2.5), "reason": "typing error"})
    assert moved.status_code == 200, moved.text
    [now] = moved.get_json()["results"]
    assert (now["id"], now["reason"]) == (incident["id"], "typing error") and now["at"] != incident["at"]
    assert meter.db.counter_incidents.find_one({"changed": {"$exists": True}}) is None
    meter.roll()
    assert meter.energy() == 13 != before
    assert swap(meter, "PATCH", incident, {"at": at(2.5)}).status_code == 409
    assert swap(meter, "PATCH", incident, {"at": at(10**6)}).status_code == 422
    withdrawn = swap(meter, "DELETE", incident, reason="it was another meter")
    assert withdrawn.status_code == 200, withdrawn.text
    meter.roll()
    assert meter.energy() == before
    assert [one for one in meter.incidents() if one["incident"] == "swap"] == []
    for method, body in (("PATCH", {"at": at(2.5)}), ("DELETE", None)):
        assert swap(meter, method, incident, body).status_code == 404
    # The same swap again, at the time where it was withdrawn.
    assert meter.send("POST", f"/api/devices/{meter.id}/meter-swaps/", {**report, "at": at(2.5)}).status_code == 201
    meter.roll()
    assert meter.energy() == 13
    meter.expire(T0 + 3 * MINUTE)
    [again] = [one for one in meter.incidents() if one["incident"] == "swap"]
    for method, body in (("PATCH", {"at": at(4)}), ("DELETE", None)):
        assert swap(meter, method, again, body).status_code == 409


def test_what_comes_after_is_corrected_too(meter: Meter) -> None:
    meter.registers(10, 11, 12)
    post(meter, "factor", 0, factor=10)
    rows: list[tuple[datetime, dict[str, float]]] = [(T0 + timedelta(minutes=5), {"c": 20})]
    meter.store(POWER, "m1", rows)
    meter.roll()
    assert meter.energy() == 100
