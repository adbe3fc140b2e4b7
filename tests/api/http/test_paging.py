"""Lists that are no rows: their links stay with one list, while entries come and go between pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from greenpower.api.http.cursor import pack
from greenpower.mongo.corrections.document import CorrectionKind
from greenpower.mongo.corrections.store import NewCorrection, create
from greenpower.mongo.schema.layout import CORRECTIONS, INCIDENTS
from greenpower.sql import Device, DeviceStatus, DeviceStatusChange
from greenpower.sql.extensions import db
from tests.api.conftest import Api
from tests.api.telemetry.test_events import event

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)


def follow(api: Api, url: str, meanwhile: Callable[[], object]) -> tuple[list[Any], list[Any]]:
    """The ids of all pages, and the counts that they tell."""
    seen, counts = [], []
    following: str | None = url
    while following:
        response = api.get(following)
        assert response.status_code == 200, response.text
        body = response.get_json()
        seen += [row["id"] if "id" in row else row["at"] for row in body["results"]]
        counts.append(body["count"])
        following = body["next"]
        meanwhile()
    return seen, counts


@pytest.mark.parametrize("query", ["", "start_time=2026-03-01&", "order=asc&", "type=probe&", "cursor=&"])
def test_events_that_arrive_between_pages(api: Api, query: str) -> None:
    documents = [event(number // 3) for number in range(25)]
    api.events.insert_many(documents)
    ids = [str(document["_id"]) for document in documents]
    number = 100

    def arrive() -> None:
        nonlocal number
        number += 1
        api.events.insert_many([event(number), event(-number)])

    seen, counts = follow(api, f"/api/telemetry/events/?{query}page_size=4", arrive)
    asc = query.startswith(("start", "order"))
    assert [one for one in seen if one in ids] == (ids if asc else ids[::-1])
    assert len(set(seen)) == len(seen) and set(counts) == {25}


def test_links_of_events_name_the_order_that_was_chosen(api: Api) -> None:
    api.events.insert_many([event(number) for number in range(5)])
    body = api.get("/api/telemetry/events/", page_size=2).get_json()
    chosen = parse_qs(urlsplit(body["next"]).query)
    assert chosen["order"] == ["desc"] and datetime.fromisoformat(chosen["end_time"][0]) > NOON
    assert api.get(body["next"].replace("desc", "asc")).status_code == 422
    second = api.get(body["next"]).get_json()
    assert api.get(second["previous"]).get_json()["results"] == body["results"]


def test_incidents_of_one_time_and_new_ones_between_pages(api: Api) -> None:
    incidents = api.database[INCIDENTS]
    incidents.delete_many({})

    def place(at: datetime, field: str) -> str:
        document = {"type": "probe", "device_id": "M1", "field": field, "at": at, "swap": False}
        shown = {"incident": "reset", "status": "open", "current": True}
        return str(incidents.insert_one({**document, **shown}).inserted_id)

    ids = [place(NOON + number // 5 * SECOND, f"f{number}") for number in range(23)]
    newer = iter(range(100))
    seen, counts = follow(
        api, "/api/incidents/?page_size=4", lambda: place(NOON + timedelta(hours=1 + next(newer)), "energy")
    )
    incidents.delete_many({})
    assert seen == ids[::-1] and set(counts) == {23}


def test_corrections_that_are_made_between_pages(api: Api) -> None:
    corrections = api.database[CORRECTIONS]
    corrections.delete_many({})

    def make(hour: int) -> str:
        begin = NOON + timedelta(hours=hour)
        new = NewCorrection(
            type="probe",
            device_id="M1",
            field="volts",
            kind=CorrectionKind.FACTOR,
            begin=begin,
            end=begin + timedelta(minutes=30),
            factor=2.0,
            reason="",
            made_by="admin",
        )
        return str(create(corrections, new)["_id"])

    ids = [make(hour) for hour in range(11)]
    later = iter(range(100, 200))
    seen, counts = follow(api, "/api/corrections/?page_size=3", lambda: make(next(later)))
    corrections.delete_many({})
    assert seen == ids[::-1] and set(counts) == {11}


def test_devices_and_their_history_between_pages(api: Api) -> None:
    with api.app.app_context():
        db.session.add_all(Device(device_id=f"P{number:02}") for number in range(10, 21))
        db.session.commit()
        device = db.session.query(Device).filter_by(device_id="P10").one()
        number = device.id
        rows = [
            DeviceStatusChange(device_id=number, status=DeviceStatus.ONLINE, at=NOON + n * SECOND) for n in range(7)
        ]
        db.session.add_all(rows)
        db.session.commit()

    added = iter(range(100))

    def change() -> None:
        """Devices that sort before all others; and a change of the status."""
        with api.app.app_context():
            n = next(added)
            db.session.add(Device(device_id=f"A{n:02}"))
            later = datetime.now(UTC) + n * SECOND
            db.session.add(DeviceStatusChange(device_id=number, status=DeviceStatus.OFFLINE, at=later))
            db.session.commit()

    before = [row["id"] for row in api.get("/api/devices/?page_size=1000").get_json()["results"]]
    try:
        seen, counts = follow(api, "/api/devices/?page_size=3", change)
        assert seen == before and set(counts) == {len(before)}
        history = f"/api/devices/{number}/status-history/?page_size=3&end_time=2026-03-02"
        assert len(follow(api, history, change)[0]) == 7
        many = follow(api, history.partition("&end")[0], change)[0]
        assert len(set(many)) == len(many) and many == sorted(many, reverse=True)
        for wrong in (pack(1, 2), pack("A\0", 1), pack("A"), pack(NOON, 3), pack("M1", -5), "x"):
            assert api.get("/api/devices/", cursor=wrong).status_code == 422, wrong
            assert api.get(f"{history}&cursor={wrong}").status_code == 422, wrong
        assert api.get(f"{history}&cursor={pack('2026-03-01T12:00:00', 1, 1)}").status_code == 422
    finally:
        with api.app.app_context():
            db.session.query(DeviceStatusChange).delete()
            db.session.query(Device).delete()
            db.session.commit()
