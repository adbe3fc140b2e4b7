"""The list of readings: what it shows, in which order, and what it refuses."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson
import pytest
from bson import Int64, ObjectId
from pymongo import timeout as time_limit
from pymongo.errors import PyMongoError

from greenpower.mongo import query
from tests.api.conftest import PATH, Api

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def second(number: float) -> datetime:
    return NOON + timedelta(seconds=number)


def test_a_reading_has_exactly_the_documented_shape(api: Api) -> None:
    api.add(("M1", NOON, {"volts": 229.097}))
    body = api.get(PATH).get_json()
    identity = str(api.readings.find_one({}, {"_id": 1})["_id"])  # type: ignore[index]
    assert body == {
        "count": 1,
        "next": None,
        "previous": None,
        "resolution": "raw",
        "results": [
            {
                "id": identity,
                "topic": "PROBE",
                "device_id": "M1",
                "timestamp": "2026-03-01T12:00:00.000Z",
                "payload": {"volts": 229.097},
            }
        ],
    }
    assert list(body) == ["count", "next", "previous", "resolution", "results"]
    assert list(body["results"][0]) == ["id", "topic", "device_id", "timestamp", "payload"]


@pytest.mark.parametrize(
    "text",
    ["229.097", "6.6905", "0.1", "-0.0", "1.0", "5e-324", "1.7976931348623157e+308", "0", "-1", "9007199254740993"],
)
def test_numbers_are_unchanged_to_the_last_digit(api: Api, text: str) -> None:
    api.add(("M1", NOON, {"volts": orjson.loads(text)}))
    raw = api.get(PATH).data.decode()
    assert f'"payload":{{"volts":{text}}}' in raw


def test_integers_of_64_bits_are_unchanged(api: Api) -> None:
    api.add(("M1", NOON, {"low": Int64(-(2**63)), "high": Int64(2**63 - 1)}))
    assert b'{"low":-9223372036854775808,"high":9223372036854775807}' in api.get(PATH).data


def test_times_are_utc_with_milliseconds(api: Api) -> None:
    api.add(("M1", second(0.0375), {"volts": 1}), ("M1", second(1), {"volts": 1}))
    stamps = [result["timestamp"] for result in api.get(PATH).get_json()["results"]]
    assert stamps == ["2026-03-01T12:00:01.000Z", "2026-03-01T12:00:00.037Z"]


def test_without_a_range_the_newest_come_first_with_one_the_oldest(api: Api) -> None:
    api.add(*[("M1", second(number), {"volts": number}) for number in (2, 0, 1)])

    def volts(**parameters: Any) -> list[float]:
        return [result["payload"]["volts"] for result in api.get(PATH, **parameters).get_json()["results"]]

    assert volts() == [2, 1, 0]
    assert volts(start_time="2026-01-01") == volts(end_time="2027-01-01T00:00:00Z") == [0, 1, 2]


@pytest.mark.parametrize(
    ("start", "end", "found"),
    [
        ("2026-03-01T12:00:01Z", "2026-03-01T12:00:03Z", [1, 2, 3]),
        ("2026-03-01T12:00:01", "2026-03-01T12:00:03", [1, 2, 3]),
        ("2026-03-01T18:00:01+06:00", "2026-03-01T18:00:03+06:00", [1, 2, 3]),
        ("2026-03-01T18:00:01 06:00", "2026-03-01T18:00:03 06:00", [1, 2, 3]),
        ("20260301T120001Z", "20260301T120003Z", [1, 2, 3]),
        ("2026-03-01 12:00:01", "2026-03-01t12:00:03z", [1, 2, 3]),
        ("2026-03-01T12:00:01.0004Z", "2026-03-01T12:00:02.9999Z", [2]),
        ("2026-03-01T12:00:01.0000Z", "2026-03-01T12:00:03.0009Z", [1, 2, 3]),
        ("2026-03-01T12:00:02Z", "2026-03-01T12:00:02Z", [2]),
        ("2026-03-01", "2026-03-02", [0, 1, 2, 3, 4]),
        ("2026-03-01T12:00:04.001Z", None, []),
        (None, "2026-03-01T12:00:00Z", [0]),
    ],
)
def test_both_ends_of_a_range_are_included(api: Api, start: str | None, end: str | None, found: list[int]) -> None:
    api.add(*[("M1", second(number), {"volts": number}) for number in range(5)])
    given = {name: value for name, value in (("start_time", start), ("end_time", end)) if value}
    body = api.get(PATH, **given).get_json()
    assert [result["payload"]["volts"] for result in body["results"]] == found
    assert body["count"] == len(found)


def test_one_device_or_several(api: Api) -> None:
    api.add(*[(device, second(number), {"volts": number}) for number in range(3) for device in ("A", "B", "C")])

    def devices(**parameters: Any) -> set[str]:
        return {result["device_id"] for result in api.get(PATH, **parameters).get_json()["results"]}

    assert devices(device_id="B") == {"B"}
    assert devices(device_id=["A", "C"], start_time="2026-01-01") == {"A", "C"}
    assert api.get(PATH, device_id="D").status_code == 422
    assert api.get(PATH, device_id=["A", "C"]).get_json()["count"] == 6


@pytest.mark.parametrize("ranged", [False, True])
@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_pages_cut_across_ties_and_still_show_everything_once_in_order(api: Api, size: int, ranged: bool) -> None:
    chance = random.Random(7)
    # Devices in step: whole groups share a time, inserted in an order that is neither that of times nor of ids.
    documents = [
        {
            "_id": ObjectId(),
            "device_id": f"M{device}",
            "topic": "PROBE",
            "timestamp": second(group),
            "payload": {"volts": 1},
        }
        for group, members in enumerate((1, 9, 2, 1, 12, 3, 1))
        for device in range(members)
    ]
    api.readings.insert_many(chance.sample(documents, len(documents)))
    documents.sort(key=lambda document: (document["timestamp"], document["device_id"]), reverse=not ranged)
    expected = [str(document["_id"]) for document in documents]

    path: str | None = PATH + f"?page_size={size}" + ("&start_time=2026-01-01" if ranged else "")
    seen: list[str] = []
    links = []
    while path:
        body = api.get(path).get_json()
        assert body["count"] == len(expected)
        seen += [result["id"] for result in body["results"]]
        links.append((body["previous"], path))
        path = body["next"]
    assert seen == expected
    assert links[0][0] is None
    assert all(
        parse_qs(urlsplit(previous).query)["page"] == [str(number)] for number, (previous, _) in enumerate(links[1:], 1)
    )


def test_a_page_beyond_the_end_is_empty(api: Api) -> None:
    api.add(("M1", NOON, {"volts": 1}))
    body = api.get(PATH, page=5).get_json()
    assert (body["results"], body["next"], body["count"]) == ([], None, 1)


def test_links_keep_the_other_parameters(api: Api) -> None:
    api.add(*[("A&B", second(number), {"volts": number}) for number in range(5)])
    api.add(("C", second(-9_999), {"volts": 1}))
    given: dict[str, Any] = {"device_id": ["A&B", "C"], "start_time": "2026-03-01T18:00:00+06:00"}
    body = api.get(PATH, **given, page=2, page_size=2).get_json()
    for link, page in ((body["next"], "3"), (body["previous"], "1")):
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.path) == ("http", "localhost", PATH)
        query = parse_qs(parts.query)
        chosen = {name: query.pop(name, None) for name in ("resolution", "order", "count", "end_time", "cursor")}
        assert chosen.pop("end_time") and bool(chosen.pop("cursor")) == (page == "3")
        assert chosen == {"resolution": ["raw"], "order": ["asc"], "count": ["exact"]}
        assert query == {
            "device_id": ["A&B", "C"],
            "start_time": ["2026-03-01T18:00:00+06:00"],
            "page_size": ["2"],
            "page": [page],
        }
    assert [result["payload"]["volts"] for result in api.get(body["next"]).get_json()["results"]] == [4]


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"start_time": "yesterday"}, "start_time"),
        ({"start_time": ""}, "start_time"),
        ({"end_time": "2026-13-01"}, "end_time"),
        ({"end_time": "2026-03-01T25:00"}, "end_time"),
        ({"end_time": "2026-03-01x12:00"}, "end_time"),
        ({"start_time": "0001-01-01T00:00:00+06:00"}, "start_time"),
        ({"end_time": "9999-12-31T23:59:59-06:00"}, "end_time"),
        ({"start_time": "9999-12-31T23:59:59.999999"}, "start_time"),
        ({"start_time": "1" * 5000}, "start_time"),
        ({"start_time": "1767225600"}, "start_time"),
        ({"start_time": "2026-03-02", "end_time": "2026-03-01"}, "end_time"),
        ({"page": 0}, "page"),
        ({"page": -1}, "page"),
        ({"page": "one"}, "page"),
        ({"page": "1.5"}, "page"),
        ({"page": "9" * 5000}, "page"),
        ({"page": 2001}, "page"),
        ({"page": 101, "page_size": 1000}, "page"),
        ({"page_size": 0}, "page_size"),
        ({"page_size": 1001}, "page_size"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "x" * 65}, "device_id"),
        ({"device_id": [f"M{number}" for number in range(101)]}, "device_id"),
        ({"device_id[$ne]": "x"}, "device_id[$ne]"),
        ({"$where": "1"}, "$where"),
        ({"devise_id": "x"}, "devise_id"),
    ],
)
def test_what_cannot_be_used_is_refused_by_name(api: Api, parameters: dict[str, Any], wrong: str) -> None:
    response = api.get(PATH, **parameters)
    assert response.status_code == 422, response.text
    body = response.get_json()
    assert body["code"] == 422 and list(body["errors"]["query"]) == [wrong] and body["errors"]["query"][wrong]


@pytest.mark.parametrize("device", ["$ne", '{"$ne": null}', ".*", "a\0b", "\u202e", "é", "/^M/"])
def test_a_device_is_compared_never_evaluated(api: Api, device: str) -> None:
    api.add(("M1", NOON, {"volts": 1}), (device, NOON, {"volts": 2}))
    assert [result["payload"]["volts"] for result in api.get(PATH, device_id=device).get_json()["results"]] == [2]


def test_the_deepest_page_is_allowed_and_says_where_it_ends(api: Api) -> None:
    assert api.get(PATH, page=100, page_size=1000).status_code == 200
    errors = api.get(PATH, page=101, page_size=1000).get_json()["errors"]["query"]
    assert errors.keys() == {"page"}


def test_a_query_that_takes_too_long_is_ended(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    api.add(*[("M1", second(number), {"volts": number}) for number in range(200)])
    slow = {"$expr": {"$function": {"body": "function() { sleep(50); return true }", "args": [], "lang": "js"}}}
    with pytest.raises(PyMongoError) as caught, time_limit(0.5):
        query.find_page(api.readings, slow, by="timestamp", ascending=True, skip=0, limit=100, projection={})
    assert caught.value.timeout


def test_a_type_without_an_endpoint_has_no_resource(api: Api) -> None:
    assert api.get("/api/telemetry/silent/").status_code == 404
    assert api.get("/api/telemetry/silent_data/").status_code == 404


def test_an_address_without_its_slash_leads_to_the_one_with_it(api: Api) -> None:
    response = api.get(PATH.rstrip("/"), page=2)
    assert response.status_code == 308 and response.headers["Location"].endswith(PATH + "?page=2")


def test_the_count_stops_at_its_limit(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(query, "COUNTED_AT_MOST", 3)
    api.add(*[("M1", second(number), {"volts": number}) for number in range(5)])
    assert api.get(PATH, device_id="M1", page_size=2).get_json()["count"] == 3
    assert api.get(PATH).get_json()["count"] == 5


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"device_id": "M1"},
        {"timestamp": {"$gte": NOON}},
        {"device_id": "M1", "timestamp": {"$gte": NOON}},
        {"device_id": {"$in": ["M1", "M2"]}, "timestamp": {"$gte": NOON}},
    ],
)
def test_every_query_is_served_by_an_index(api: Api, where: dict[str, Any]) -> None:
    api.add(*[(f"M{number % 5}", second(number), {"volts": number}) for number in range(500)])
    plan = api.readings.find(where, {"payload": 1}).sort("timestamp", 1).limit(51).explain()
    stages = orjson.dumps(plan["queryPlanner"]["winningPlan"]).decode()
    assert "IXSCAN" in stages and '"stage":"SORT"' not in stages and "COLLSCAN" not in stages
