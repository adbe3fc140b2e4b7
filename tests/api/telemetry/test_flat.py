"""The flat form of lists and of newest readings: one value per row, whole or refused, as JSON and as CSV."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from greenpower.api.http import flat_form
from tests.api.conftest import PATH, Api
from tests.api.energy.meter import METER, Meters
from tests.api.energy.meter import PATH as METERS_PATH

START = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
FLAT, LATEST = PATH + "flat/", PATH + "latest/flat/"
RANGE: dict[str, Any] = {"start_time": "2026-03-01", "end_time": "2026-03-01"}
COLUMNS = ["timestamp", "device_id", "field", "value"]
Row = dict[str, Any]


def rows(api: Api, path: str, **parameters: Any) -> list[Row]:
    response = api.get(path, **parameters)
    assert response.status_code == 200, response.text
    found: list[Row] = response.get_json()["results"]
    return found


def table(text: str) -> list[list[str]]:
    return list(csv.reader(io.StringIO(text, newline="")))


def fill(api: Api, readings: int = 10, devices: tuple[str, ...] = ("M1", "M2")) -> None:
    api.add(
        *[
            (device, START + timedelta(minutes=minute), {"volts": 230.5 + minute, "energy": minute, "other": 1})
            for minute in range(readings)
            for device in devices
        ]
    )


def test_a_list_has_the_values_of_its_readings_one_per_row(api: Api) -> None:
    fill(api)
    wide = api.get(PATH, **RANGE, page_size=100).get_json()["results"]
    wanted = [
        {"timestamp": row["timestamp"], "device_id": row["device_id"], "field": name, "value": value}
        for row in wide
        for name, value in row["payload"].items()
    ]
    found = rows(api, FLAT, **RANGE)
    assert found == wanted and len(found) == 60 and list(found[0]) == COLUMNS
    assert api.get(FLAT, **RANGE).get_json()["next"] is None
    some = rows(api, FLAT, **RANGE, fields="energy,volts", device_id="M2", columns="unit,final")
    assert some[:2] == [
        {"timestamp": "2026-03-01T00:00:00.000Z", "device_id": "M2", "field": "energy", "value": 0, "unit": "kWh",
         "final": True},
        {"timestamp": "2026-03-01T00:00:00.000Z", "device_id": "M2", "field": "volts", "value": 230.5, "unit": "V",
         "final": True},
    ]  # fmt: skip
    assert len(some) == 20


@pytest.mark.parametrize("by_header", [False, True])
def test_csv_has_the_same_rows(api: Api, by_header: bool) -> None:
    fill(api)
    if by_header:
        headers = {"Authorization": f"Bearer {api.tokens['access']}", "Accept": "text/csv"}
        response = api.client.get(FLAT, query_string=RANGE, headers=headers)
    else:
        response = api.get(FLAT, **RANGE, format="csv")
    assert response.status_code == 200 and response.content_type == "text/csv; charset=utf-8"
    assert "Accept" in response.headers["Vary"] and "Link" not in response.headers
    header, *lines = table(response.text)
    assert header == COLUMNS
    assert lines == [[str(value) for value in row.values()] for row in rows(api, FLAT, **RANGE)]


@pytest.mark.parametrize("accept", ["*/*", "application/json", "text/html,*/*;q=0.8", "application/json, text/csv"])
def test_without_a_wish_for_csv_it_is_json(api: Api, accept: str) -> None:
    headers = {"Authorization": f"Bearer {api.tokens['access']}", "Accept": accept}
    response = api.client.get(FLAT, query_string=RANGE, headers=headers)
    assert response.content_type == "application/json" and response.get_json() == {"next": None, "results": []}


@pytest.mark.parametrize("path", [FLAT, LATEST])
def test_an_id_cannot_become_a_formula(api: Api, path: str) -> None:
    fill(api, 1, ("=1+1", "-5", "@x"))
    parameters = {} if path == LATEST else RANGE
    lines = table(api.get(path, **parameters, fields="energy", format="csv").text)
    assert sorted(line[1] for line in lines[1:]) == ["'-5", "'=1+1", "'@x"]
    assert {row["device_id"] for row in rows(api, path, **parameters)} == {"=1+1", "-5", "@x"}


def test_without_a_range_it_is_the_last_day(api: Api) -> None:
    now = datetime.now(UTC)
    ages = (timedelta(hours=25), timedelta(hours=23), timedelta(minutes=1))
    api.add(*[("M1", now - age, {"volts": age.total_seconds()}) for age in ages])
    assert [row["value"] for row in rows(api, FLAT)] == [23 * 3_600, 60]
    day = rows(api, FLAT, end_time=(now - timedelta(hours=20)).isoformat())
    assert [row["value"] for row in day] == [25 * 3_600, 23 * 3_600]


@pytest.mark.parametrize("form", ["json", "csv"])
def test_too_much_is_refused_and_not_cut_off(api: Api, form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flat_form, "MAX_FLAT_VALUES", 16)
    fill(api)
    refused = api.get(FLAT, **RANGE, format=form)
    assert refused.status_code == 422 and "fields" in str(refused.get_json()["errors"]["query"]["cursor"])
    assert api.get(FLAT, **RANGE, fields="volts", device_id="M1", format=form).status_code == 200
    assert api.get(LATEST, format=form).status_code == 200
    fill_more = tuple(f"N{number:02}" for number in range(10))
    fill(api, 1, fill_more)
    assert api.get(LATEST, format=form).status_code == 422
    assert api.get(LATEST, fields="volts", format=form).status_code == 200


@pytest.mark.parametrize("path", [FLAT, LATEST])
def test_pages_are_together_the_whole(api: Api, path: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(api, 10, tuple(f"M{number}" for number in range(7)))
    parameters = {} if path == LATEST else RANGE
    whole = rows(api, path, **parameters)
    monkeypatch.setattr(flat_form, "MAX_FLAT_VALUES", 6)
    found: list[Row] = []
    lines: list[list[str]] = []
    body = api.get(path, **parameters, cursor="").get_json()
    response = api.get(path, **parameters, cursor="", format="csv")
    while True:
        found += body["results"]
        lines += table(response.text)[1:]
        if body["next"] is None:
            break
        assert response.headers["Link"].endswith('>; rel="next"')
        response = api.get(response.headers["Link"][1:].partition(">")[0])
        body = api.get(body["next"]).get_json()
    assert found == whole and "Link" not in response.headers
    assert lines == [[str(value) for value in row.values()] for row in whole]


def test_what_comes_meanwhile_does_not_change_what_the_pages_are_of(
    meters: Meters, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Page one is of readings; before page two so many come that the same question would choose buckets, and an open
    end would take them in."""
    now = datetime.now(UTC).replace(microsecond=0)
    begin = now - timedelta(minutes=30)
    meters.store("M1", [(begin + timedelta(seconds=10 * n), {"volts": n, "energy": n / 100}) for n in range(100)])
    question = {"start_time": begin.isoformat(), "fields": "volts"}
    whole = rows(meters, METERS_PATH + "flat/", **question)
    assert [row["value"] for row in whole] == list(range(100))
    monkeypatch.setattr(flat_form, "MAX_FLAT_VALUES", 40)
    body = meters.body(METERS_PATH + "flat/", **question, cursor="")
    found = body["results"]
    late = [(now + timedelta(minutes=1, milliseconds=100 * n), {"volts": 0, "energy": 1.0}) for n in range(1, 2_500)]
    meters.store("M1", late)
    meters.run_rollups()
    while body["next"]:
        body = meters.get(body["next"]).get_json()
        found += body["results"]
    assert found == whole


def test_long_ranges_have_means_that_fit_into_one_answer(meters: Meters) -> None:
    end = datetime.now(UTC).replace(second=0, microsecond=0) - timedelta(hours=1)
    readings = [(end - timedelta(minutes=n), {"volts": 230.0, "energy": (3_000 - n) / 100}) for n in range(3_000)][::-1]
    meters.store("M1", readings)
    meters.run_rollups()
    question = {"start_time": readings[0][0].isoformat(), "end_time": end.isoformat()}
    found = rows(meters, METERS_PATH + "flat/", **question, columns="final")
    assert METER.tiers and 100 < len(found) < 2 * 2_000
    assert {row["field"] for row in found} == {"volts", "energy"} and {row["final"] for row in found} <= {True, False}
    raw = rows(meters, METERS_PATH + "flat/", **question, resolution="raw")
    assert len(raw) == 6_000


def test_the_newest_values_of_each_device(api: Api) -> None:
    fill(api)
    api.add(("M3", START, {"energy": 7}))
    assert rows(api, LATEST, columns="unit", fields="volts,energy") == [
        *(
            {"timestamp": "2026-03-01T00:09:00.000Z", "device_id": device, "field": name, "value": value, "unit": unit}
            for device in ("M1", "M2")
            for name, value, unit in (("volts", 239.5, "V"), ("energy", 9, "kWh"))
        ),
        {"timestamp": "2026-03-01T00:00:00.000Z", "device_id": "M3", "field": "energy", "value": 7, "unit": "kWh"},
    ]
    assert [row["device_id"] for row in rows(api, LATEST, device_id="M3,M1", fields="energy")] == ["M1", "M3"]


@pytest.mark.parametrize("path", [FLAT, LATEST])
@pytest.mark.parametrize(
    "parameters",
    [{"format": "xml"}, {"columns": "nothing"}, {"fields": "No"}, {"cursor": "x"}, {"page": "2"}, {"columns": ""}],
)
def test_what_cannot_be_used_is_refused(api: Api, path: str, parameters: dict[str, str]) -> None:
    response = api.get(path, **parameters)
    assert response.status_code == 422 and set(response.get_json()["errors"]["query"]) == set(parameters)


def test_a_range_that_ends_when_the_calendar_begins(api: Api) -> None:
    assert rows(api, FLAT, end_time="0001-01-01") == []


@pytest.mark.parametrize("view", ["flat/", "latest/flat/", "consumption/flat/"])
def test_both_formats_are_described(api: Api, view: str) -> None:
    schema = api.client.get("/api/schema/").get_json()
    content = schema["paths"][PATH + view]["get"]["responses"]["200"]["content"]
    assert set(content) == {"application/json", "text/csv"}
    properties = schema["components"]["schemas"]["FlatSeries"]["properties"]
    assert content["application/json"]["schema"] == {"$ref": "#/components/schemas/FlatSeries"}
    assert properties["results"]["items"] == {"$ref": "#/components/schemas/FlatValue"}
