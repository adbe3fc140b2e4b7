"""Energy in the flat form: the numbers of `consumption/`, one bucket of a device per row."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.api.energy.meter import PATH, Meters

WIDE, FLAT = PATH + "consumption/", PATH + "consumption/flat/"
START = datetime(2026, 3, 27, 23, tzinfo=UTC)
QUESTION: dict[str, Any] = {
    "start_time": "2026-03-28", "end_time": "2026-03-30", "tz": "Europe/Berlin", "bucket": "day",
}  # fmt: skip
EXTRA = ("unit", "bucket", "final", "samples", "coverage", "undecided", "estimated")


@pytest.fixture
def filled(meters: Meters) -> Meters:
    """Two meters over the days around a clock change; the second is silent on the last day."""
    for device, hours, rise in (("M1", 80, 0.7), ("M2", 40, 0.0)):
        meters.store(
            device, [(START + timedelta(hours=n), {"energy": 100 + rise * n, "volts": 230.0}) for n in range(hours)]
        )
    meters.run_rollups()
    return meters


def test_each_row_is_a_bucket_of_a_device_with_the_same_energy(filled: Meters) -> None:
    wide = filled.body(WIDE, **QUESTION)
    found = filled.body(FLAT, **QUESTION, columns=",".join(EXTRA))["results"]
    assert [(row["timestamp"], row["device_id"]) for row in found] == [
        (f"{day}T00:00:00{offset}", device)
        for day, offset in (("2026-03-28", "+01:00"), ("2026-03-29", "+01:00"), ("2026-03-30", "+02:00"))
        for device in ("M1", "M2")
    ]
    by_device = {device["device_id"]: {row["bucket"]: row for row in device["results"]} for device in wide["devices"]}
    for row in found:
        whole = by_device[row["device_id"]][row["bucket"]]
        assert row["value"] == whole["energy"] and row["unit"] == "kWh" and row["field"] == "energy"
        assert {name: row[name] for name in EXTRA[2:6]} == {name: whole[name] for name in EXTRA[2:6]}
        assert row["estimated"] is False
    assert list(filled.body(FLAT, **QUESTION)["results"][0]) == ["timestamp", "device_id", "field", "value"]


def test_no_samples_are_no_value_and_no_use_is_zero(filled: Meters) -> None:
    values = {
        (row["timestamp"][:10], row["device_id"]): row["value"] for row in filled.body(FLAT, **QUESTION)["results"]
    }
    assert values["2026-03-29", "M2"] == 0 and values["2026-03-30", "M2"] is None
    text = filled.get(FLAT, **QUESTION, format="csv").text
    cells = {(row["timestamp"][:10], row["device_id"]): row["value"] for row in csv.DictReader(io.StringIO(text))}
    assert cells["2026-03-29", "M2"] == "0.0" and cells["2026-03-30", "M2"] == ""
    assert {key: float(cell) for key, cell in cells.items() if cell} == {
        key: value for key, value in values.items() if value is not None
    }


@pytest.mark.parametrize("parameters", [{"field": "volts"}, {"columns": "x"}, {"tz": "Nowhere"}, {"format": "ndjson"}])
def test_what_cannot_be_used_is_refused(meters: Meters, parameters: dict[str, str]) -> None:
    response = meters.get(FLAT, **parameters)
    assert response.status_code == 422 and set(response.get_json()["errors"]["query"]) == set(parameters)


def test_a_zone_that_does_not_exist_and_a_range_that_is_too_long(meters: Meters) -> None:
    assert meters.get(FLAT, zone_id=999).status_code == 422
    assert meters.get(FLAT, bucket="hour", start_time="2020-01-01").status_code == 422
