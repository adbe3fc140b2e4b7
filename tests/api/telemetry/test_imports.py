"""`POST /api/telemetry/import/`: stored before the answer, within bounds, by operators, in the audit."""

from __future__ import annotations

import gzip
from itertools import count
from typing import Any

import pytest
from werkzeug.test import TestResponse

from greenpower.api.telemetry.imports import MAX_UNPACKED_BYTES, import_slots
from tests.api.energy.meter import PATH, Meters

URL = "/api/telemetry/import/"
HEAD = b"device_id,timestamp,volts,energy [Wh]\n"
numbers = count(1)


def a_file(device: str = "") -> tuple[str, bytes]:
    """A device that is not registered yet, and a file of it."""
    device = device or f"I{next(numbers)}"
    rows = f"{device},2024-01-31T12:00Z,230,1500\n{device},2024-01-31T12:15Z,x,1600\n"
    return device, HEAD + rows.encode()


def send(meters: Meters, body: bytes, **query: Any) -> TestResponse:
    headers = {"Authorization": f"Bearer {meters.tokens['access']}"}
    return meters.client.post(URL, query_string={"type": "meter", **query}, data=body, headers=headers)


def test_a_file_is_stored_and_read_back(meters: Meters) -> None:
    device, data = a_file()
    assert send(meters, data).get_json()["refused"] == {"unknown-device": 2}
    dry = send(meters, data, new_devices="true", dry_run="true").get_json()
    assert (dry["dry_run"], dry["stored"]) == (True, 2)
    assert meters.database.meter_data.count_documents({}) == 0
    answer = send(meters, data, new_devices="true")
    assert answer.status_code == 200, answer.text
    body = answer.get_json()
    assert (body["rows"], body["stored"], body["devices_registered"]) == (2, 2, [device])
    assert body["left_out"] == {"not-a-number": 1}
    assert [(one["line"], one["column"]) for one in body["problems"]] == [(3, "volts")]
    again = send(meters, gzip.compress(data)).get_json()
    assert (again["stored"], again["duplicate"], again["devices_unknown"]) == (0, 2, [])
    listed = meters.body(PATH, resolution="raw", device_id=device, start_time="2024-01-01", end_time="2024-02-01")
    assert [row["payload"] for row in listed["results"]] == [{"volts": 230, "energy": 1.5}, {"energy": 1.6}]


def test_an_export_is_imported_as_it_is(meters: Meters) -> None:
    send(meters, a_file()[1], new_devices="true")
    for form in ("csv", "ndjson", "parquet"):
        data = meters.get(PATH + "export/", format=form, start_time="2024-01-01", resolution="raw").data
        assert send(meters, data).get_json()["duplicate"] == 2


@pytest.mark.parametrize(
    ("body", "query", "said"),
    [
        (b"", {}, "empty"),
        (b"device_id,timestamp,volt\n", {}, "did you mean volts"),
        (HEAD, {"map": "= 1"}, "no TOML"),
        (HEAD, {"timezone": "Mars"}, "no time zone"),
    ],
)
def test_files_that_cannot_be_used(meters: Meters, body: bytes, query: dict[str, str], said: str) -> None:
    answer = send(meters, body, **query)
    assert answer.status_code == 422 and said in answer.get_json()["errors"]["file"][0]


def test_bounds(meters: Meters) -> None:
    bomb = gzip.compress(HEAD + b"I1,,1,1\n" * (MAX_UNPACKED_BYTES // 8))
    assert str(MAX_UNPACKED_BYTES) in send(meters, bomb).get_json()["error"]
    assert send(meters, HEAD, type="nope").status_code == 422
    assert import_slots.acquire(blocking=False)
    try:
        answer = send(meters, HEAD)
        assert answer.status_code == 429 and answer.headers["Retry-After"]
    finally:
        import_slots.release()
