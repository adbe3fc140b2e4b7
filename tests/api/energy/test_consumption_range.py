"""The range that `consumption/` uses: local times, dates, the zone of the site, clock changes, whole buckets."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import marshmallow as ma
import pytest

from greenpower.api.energy.consumption_schema import ConsumptionSchema
from tests.api.energy.meter import PATH, Meters, Reading

URL = PATH + "consumption/"
# Only where there are corrections.
OF_CORRECTIONS = {"corrected", "estimated", "corrections"}


def used(meters: Meters, **parameters: Any) -> tuple[str, str, int]:
    """The range of an answer, and how many buckets it has."""
    body = meters.body(URL, **parameters)
    rows = body["results"]
    assert all(before["end"] == after["start"] for before, after in pairwise(rows))
    assert (body["start"], body["end"]) == (rows[0]["start"], rows[-1]["end"])
    return body["start"], body["end"], len(rows)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        # The zone is that of `tz`, and of the site (Asia/Dhaka) without it.
        (
            {"tz": "Asia/Dhaka", "start_time": "2026-11-10T00:00:00", "end_time": "2026-11-10T23:59:59"},
            ("2026-11-10T00:00:00+06:00", "2026-11-11T00:00:00+06:00", 1),
        ),
        (
            {"start_time": "2026-11-10T00:00:00", "end_time": "2026-11-11T00:00:00"},
            ("2026-11-10T00:00:00+06:00", "2026-11-11T00:00:00+06:00", 1),
        ),
        (
            {"start_time": "2026-11-10", "end_time": "2026-11-10", "bucket": "hour"},
            ("2026-11-10T00:00:00+06:00", "2026-11-11T00:00:00+06:00", 24),
        ),
        (
            {"tz": "UTC", "start_time": "2026-11-10T00:00:00Z", "end_time": "2026-11-11T00:00:00Z"},
            ("2026-11-10T00:00:00+00:00", "2026-11-11T00:00:00+00:00", 1),
        ),
        (
            {"tz": "UTC", "start_time": "2026-11-10T00:00:00Z", "end_time": "2026-11-11T00:00:00.001Z"},
            ("2026-11-10T00:00:00+00:00", "2026-11-12T00:00:00+00:00", 2),
        ),
        # An offset is an offset: midnight in UTC is 05:45 in Kathmandu.
        (
            {"tz": "Asia/Kathmandu", "start_time": "2026-11-10T00:00:00Z", "end_time": "2026-11-11T00:00:00Z"},
            ("2026-11-10T00:00:00+05:45", "2026-11-12T00:00:00+05:45", 2),
        ),
        (
            {
                "tz": "Asia/Kathmandu",
                "start_time": "2026-11-10T18:30",
                "end_time": "2026-11-10T19:00",
                "bucket": "hour",
            },
            ("2026-11-10T18:00:00+05:45", "2026-11-10T19:00:00+05:45", 1),
        ),
        # Leap days, year ends, ISO weeks.
        (
            {"tz": "Asia/Kathmandu", "start_time": "2024-02-29", "end_time": "2024-02-29", "bucket": "month"},
            ("2024-02-01T00:00:00+05:45", "2024-03-01T00:00:00+05:45", 1),
        ),
        (
            {"start_time": "2024-02-28", "end_time": "2024-03-01"},
            ("2024-02-28T00:00:00+06:00", "2024-03-02T00:00:00+06:00", 3),
        ),
        (
            {"start_time": "2025-12-31", "end_time": "2025-12-31", "bucket": "year"},
            ("2025-01-01T00:00:00+06:00", "2026-01-01T00:00:00+06:00", 1),
        ),
        (
            {"start_time": "2025-12-31", "end_time": "2026-01-01", "bucket": "week"},
            ("2025-12-29T00:00:00+06:00", "2026-01-05T00:00:00+06:00", 1),
        ),
        # Days of 23 and 25 hours, of 23.5 and 24.5, and one whose midnight is skipped.
        (
            {"tz": "Europe/Berlin", "start_time": "2026-03-29", "end_time": "2026-03-29", "bucket": "hour"},
            ("2026-03-29T00:00:00+01:00", "2026-03-30T00:00:00+02:00", 23),
        ),
        (
            {"tz": "Europe/Berlin", "start_time": "2026-10-25", "end_time": "2026-10-25", "bucket": "hour"},
            ("2026-10-25T00:00:00+02:00", "2026-10-26T00:00:00+01:00", 25),
        ),
        (
            {"tz": "Australia/Lord_Howe", "start_time": "2026-10-04", "end_time": "2026-10-04", "bucket": "hour"},
            ("2026-10-04T00:00:00+10:30", "2026-10-05T00:00:00+11:00", 24),
        ),
        (
            {"tz": "Australia/Lord_Howe", "start_time": "2026-04-05", "end_time": "2026-04-05", "bucket": "hour"},
            ("2026-04-05T00:00:00+11:00", "2026-04-06T00:00:00+10:30", 25),
        ),
        (
            {"tz": "Africa/Cairo", "start_time": "2026-04-23", "end_time": "2026-04-24"},
            ("2026-04-23T00:00:00+02:00", "2026-04-25T00:00:00+03:00", 2),
        ),
        # An hour that comes twice: both, the first one alone, the second one alone, the one before it.
        (
            {"tz": "Europe/Berlin", "start_time": "2026-10-25T02:00", "end_time": "2026-10-25T02:59", "bucket": "hour"},
            ("2026-10-25T02:00:00+02:00", "2026-10-25T03:00:00+01:00", 2),
        ),
        (
            {
                "tz": "Europe/Berlin",
                "start_time": "2026-10-25T02:00",
                "end_time": "2026-10-25T02:00:00+01:00",
                "bucket": "hour",
            },
            ("2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00", 1),
        ),
        (
            {
                "tz": "Europe/Berlin",
                "start_time": "2026-10-25T02:00:00+01:00",
                "end_time": "2026-10-25T03:00",
                "bucket": "hour",
            },
            ("2026-10-25T02:00:00+01:00", "2026-10-25T03:00:00+01:00", 1),
        ),
        (
            {"tz": "Europe/Berlin", "start_time": "2026-10-25T01:00", "end_time": "2026-10-25T02:00", "bucket": "hour"},
            ("2026-10-25T01:00:00+02:00", "2026-10-25T02:00:00+02:00", 1),
        ),
        (
            {"tz": "Europe/Berlin", "start_time": "2026-03-29T02:30", "end_time": "2026-03-29T04:00", "bucket": "hour"},
            ("2026-03-29T03:00:00+02:00", "2026-03-29T04:00:00+02:00", 1),
        ),
    ],
)
def test_the_range_is_local_and_whole(meters: Meters, given: dict[str, Any], wanted: tuple[str, str, int]) -> None:
    assert used(meters, **given) == wanted


def test_the_answer_has_what_its_schema_says_and_nothing_else(meters: Meters) -> None:
    meters.store("M1", [(meters.now - timedelta(hours=hours), {"energy": 100.0 - hours}) for hours in (3, 2, 1)])
    body = meters.body(URL)

    def check(schema: ma.Schema, found: dict[str, Any]) -> None:
        assert found.keys() | OF_CORRECTIONS == schema.fields.keys() | OF_CORRECTIONS
        for name, field in schema.fields.items():
            nested = field.inner if isinstance(field, ma.fields.List) else field
            if isinstance(nested, ma.fields.Nested) and found.get(name):
                for item in found[name] if isinstance(field, ma.fields.List) else [found[name]]:
                    check(nested.schema, item)

    assert body["devices"]
    check(ConsumptionSchema(), body)
    meters.store("M9", [(meters.now, {"volts": 1.0})])
    assert meters.body(URL, device_id="M9")["total"] is None


def test_without_a_range_the_last_buckets_of_the_site_are_given(meters: Meters) -> None:
    body = meters.body(URL)
    assert body["tz"] == "Asia/Dhaka" == meters.settings.device_timezone
    assert len(body["results"]) == 31 and body["results"][-1]["start"].endswith("T00:00:00+06:00")
    last = datetime.fromisoformat(body["results"][-1]["end"])
    assert timedelta() < last - meters.now <= timedelta(days=1)


@pytest.mark.parametrize(
    ("given", "wrong"),
    [
        ({"start_time": "2026-11-11", "end_time": "2026-11-10"}, "end_time"),
        ({"tz": "Asia/Dhaka", "start_time": "2026-11-11T00:00:00Z", "end_time": "2026-11-11T05:59"}, "end_time"),
        ({"tz": "Pacific/Apia", "start_time": "2011-12-30", "end_time": "2011-12-30"}, "end_time"),
        ({"end_time": "2026-11-10Z"}, "end_time"),
        ({"start_time": "2026-11-10T25:00"}, "start_time"),
        ({"tz": "Mars/Phobos", "start_time": "2026-11-10"}, "tz"),
        ({"tz": "", "start_time": "2026-11-10"}, "tz"),
    ],
)
def test_a_range_that_is_none_is_refused(meters: Meters, given: dict[str, Any], wrong: str) -> None:
    response = meters.get(URL, **given)
    assert response.status_code == 422 and list(response.get_json()["errors"]["query"]) == [wrong], response.text


def test_a_date_as_an_end_is_the_whole_day_in_lists_and_exports(meters: Meters) -> None:
    """In UTC there: they have no zone."""
    midnight = datetime(2026, 3, 2, tzinfo=UTC)
    times = [midnight - timedelta(days=1), midnight - timedelta(milliseconds=1), midnight]
    readings: list[Reading] = [(at, {"energy": float(number)}) for number, at in enumerate(times)]
    meters.store("M1", readings)
    day = {"start_time": "2026-03-01", "end_time": "2026-03-01", "resolution": "raw"}
    assert [row["payload"]["energy"] for row in meters.body(PATH, **day)["results"]] == [0, 1]
    lines = meters.get(PATH + "export/", **day, format="ndjson").get_data(as_text=True).splitlines()
    assert len(lines) == 2
    both = meters.body(PATH, **{**day, "end_time": "2026-03-02T00:00:00"})
    assert len(both["results"]) == 3
