"""The list of events: every frame as received, and the filters on it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenpower.mongo.events.store import Outcome, event_document, raw_document
from tests.api.conftest import Api

PATH = "/api/telemetry/events/"
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def event(number: int = 0, **given: Any) -> dict[str, Any]:
    payload = given.pop("payload", b"{}")
    return event_document(
        **{
            "type_name": "probe",
            "topic": "PROBE",
            "device_id": "M1",
            "received_at": NOON + timedelta(seconds=number),
            "outcome": Outcome.STORED,
            "raw": raw_document(payload, given.pop("limit", 1000)),
            **given,
        }
    )


def test_an_event_shows_all_that_is_kept(api: Api) -> None:
    document = event(
        payload='{"id":"M1","ua":229.097,"ub":"≈"}'.encode(),
        reason="why",
        detail="why, for people",
        left_out={"ub": "not-a-number"},
        conflicts=("ua",),
        timestamps=(NOON,),
    )
    api.events.insert_one(document)
    body = api.get(PATH).get_json()
    assert list(body) == ["count", "next", "previous", "results"]
    assert body["results"] == [
        {
            "id": str(document["_id"]),
            "topic": "PROBE",
            "device_id": "M1",
            "timestamp": "2026-03-01T12:00:00.000Z",
            "payload": '{"id":"M1","ua":229.097,"ub":"≈"}',
            "type": "probe",
            "outcome": "stored",
            "reason": "why",
            "detail": "why, for people",
            "left_out": {"ub": "not-a-number"},
            "conflicts": ["ua"],
            "reading_timestamps": ["2026-03-01T12:00:00.000Z"],
            "hex": False,
            "size": None,
            "sha256": None,
        }
    ]


def test_what_an_event_does_not_have_is_null_or_empty(api: Api) -> None:
    api.events.insert_one(event(type_name=None, device_id=None, outcome=Outcome.REJECTED, payload=b"\xff\xfe"))
    [shown] = api.get(PATH).get_json()["results"]
    assert (shown["payload"], shown["hex"]) == ("fffe", True)
    assert [shown[key] for key in ("type", "device_id", "reason", "detail")] == [None] * 4
    assert (shown["left_out"], shown["conflicts"], shown["reading_timestamps"]) == ({}, [], [])


def test_of_an_oversize_frame_length_and_hash_are_shown(api: Api) -> None:
    api.events.insert_one(event(payload=b"x" * 5000, limit=4096))
    [shown] = api.get(PATH).get_json()["results"]
    assert shown["size"] == 5000 and len(shown["payload"]) == 4096 and len(shown["sha256"]) == 64


def test_an_event_of_several_readings_shows_all_their_times(api: Api) -> None:
    api.events.insert_one(event(timestamps=(NOON, NOON + timedelta(minutes=1))))
    [shown] = api.get(PATH).get_json()["results"]
    assert shown["reading_timestamps"] == ["2026-03-01T12:00:00.000Z", "2026-03-01T12:01:00.000Z"]


@pytest.mark.parametrize(
    ("parameters", "found"),
    [
        ({}, [4, 3, 2, 1, 0]),
        ({"topic": "PROBE"}, [2, 1, 0]),
        ({"topic": "OTHER"}, [4, 3]),
        ({"topic": "PROB"}, []),
        ({"type": "probe"}, [3, 2, 1, 0]),
        ({"device_id": "M2"}, [2]),
        ({"outcome": "rejected"}, [4, 1]),
        ({"outcome": "stored"}, [3, 2, 0]),
        ({"reason": "zero-frame"}, [1]),
        ({"outcome": "rejected", "topic": "PROBE"}, [1]),
        ({"start_time": "2026-03-01T12:00:01Z", "end_time": "2026-03-01T12:00:03Z"}, [1, 2, 3]),
        ({"start_time": "2026-03-01T12:00:01Z", "outcome": "rejected"}, [1, 4]),
        ({"page": 2, "page_size": 2}, [2, 1]),
    ],
)
def test_filters(api: Api, parameters: dict[str, Any], found: list[int]) -> None:
    documents = [
        event(0),
        event(1, outcome=Outcome.REJECTED, reason="zero-frame"),
        event(2, device_id="M2"),
        event(3, topic="OTHER"),
        event(4, topic="OTHER", type_name=None, outcome=Outcome.REJECTED, reason="unclaimed-topic"),
    ]
    api.events.insert_many(documents)
    assert api.ids(PATH, **parameters) == [str(documents[number]["_id"]) for number in found]


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"outcome": "lost"}, "outcome"),
        ({"outcome[$ne]": "stored"}, "outcome[$ne]"),
        ({"topic": ""}, "topic"),
        ({"raw": "x"}, "raw"),
        ({"end_time": "soon"}, "end_time"),
        ({"page_size": 1001}, "page_size"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(api: Api, parameters: dict[str, Any], wrong: str) -> None:
    response = api.get(PATH, **parameters)
    assert response.status_code == 422 and list(response.get_json()["errors"]["query"]) == [wrong]


def test_events_of_one_millisecond_are_paged_through_once(api: Api) -> None:
    documents = [event(0) for _ in range(23)]
    api.events.insert_many(reversed(documents))
    seen = [identity for page in range(1, 6) for identity in api.ids(PATH, page=page, page_size=5)]
    assert seen == [str(document["_id"]) for document in reversed(documents)]


def test_one_event_by_the_id_in_the_log(api: Api) -> None:
    documents = [event(number) for number in range(3)]
    api.events.insert_many(documents)
    wanted = str(documents[1]["_id"])
    body = api.get(f"{PATH}?id={wanted}").get_json()
    assert body["count"] == 1 and [row["id"] for row in body["results"]] == [wanted]
    assert api.get(f"{PATH}?id={'0' * 24}").get_json()["results"] == []
    assert api.get(f"{PATH}?id=nonsense").status_code == 422
