"""Ranges of time in parameters: dates, zones, rounding, order."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

import marshmallow as ma
import pytest

from greenpower.api.http.time_range import RangeQuery


class LocalRange(RangeQuery):
    """A range in a zone of its own."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name

    def zone(self, data: dict[str, Any]) -> tzinfo:
        return ZoneInfo(self.name)


def load(name: str = "UTC", **given: str) -> dict[str, str]:
    """The range that is loaded, as text in UTC."""
    loaded = LocalRange(name).load({f"{place}_time": text for place, text in given.items()})
    assert all(moment.tzinfo is UTC for moment in loaded.values())
    return {name.removesuffix("_time"): moment.isoformat()[:-6] for name, moment in loaded.items()}


def refused(name: str = "UTC", **given: str) -> dict[str, Any]:
    with pytest.raises(ma.ValidationError) as caught:
        load(name, **given)
    messages = caught.value.messages
    assert isinstance(messages, dict)
    return messages


@pytest.mark.parametrize(
    ("start", "end", "wanted"),
    [
        ("2026-11-10", "2026-11-10", ("2026-11-10T00:00:00", "2026-11-10T23:59:59.999999")),
        ("2024-02-28", "20240229", ("2024-02-28T00:00:00", "2024-02-29T23:59:59.999999")),
        ("2026-12-31", "2026-12-31", ("2026-12-31T00:00:00", "2026-12-31T23:59:59.999999")),
        ("0001-01-01", "9999-12-31", ("0001-01-01T00:00:00", "9999-12-31T23:59:59.999998")),
        ("2026-11-10T00:00", "2026-11-10T00:00Z", ("2026-11-10T00:00:00", "2026-11-10T00:00:00")),
        ("2026-11-10T06:00 06:00", "2026-11-10T06:00+06:00", ("2026-11-10T00:00:00", "2026-11-10T00:00:00")),
        ("2026-11-10T01:02:03.0001", "2026-11-10T01:02:03.0019", ("2026-11-10T01:02:03.001000",) * 2),
    ],
)
def test_a_range_includes_both_its_ends_and_the_whole_of_a_day(start: str, end: str, wanted: tuple[str, str]) -> None:
    assert load(start=start, end=end) == dict(zip(("start", "end"), wanted, strict=True))
    utc = RangeQuery().load({"start_time": start, "end_time": end})
    assert [utc[name].isoformat()[:-6] for name in ("start_time", "end_time")] == list(wanted)


@pytest.mark.parametrize(
    ("zone", "start", "end", "hours"),
    [
        ("Asia/Dhaka", "2026-11-10", "2026-11-10", 24),
        ("Asia/Dhaka", "2026-11-10T00:00:00", "2026-11-11T00:00:00", 24),
        ("Asia/Dhaka", "2026-11-10T00:00:00", "2026-11-10T18:00:00Z", 24),
        ("Asia/Kathmandu", "2024-02-28", "2024-03-01", 72),
        ("Europe/Berlin", "2026-03-29", "2026-03-29", 23),
        ("Europe/Berlin", "2026-10-25", "2026-10-25", 25),
        ("Europe/Berlin", "2026-10-25T02:30", "2026-10-25T02:30", 1),
        ("Europe/Berlin", "2026-03-29T02:10", "2026-03-29T02:50", 0),
        ("Australia/Lord_Howe", "2026-10-04", "2026-10-04", 23.5),
        ("Africa/Cairo", "2026-04-24", "2026-04-24", 23),
        ("America/Santiago", "2026-12-31", "2027-01-01", 48),
    ],
)
def test_a_time_without_an_offset_is_local(zone: str, start: str, end: str, hours: float) -> None:
    loaded = LocalRange(zone).load({"start_time": start, "end_time": end})
    length = loaded["end_time"] - loaded["start_time"]
    assert length == timedelta(hours=hours) - (timedelta(microseconds=1) if len(end) == 10 else timedelta())


def test_one_end_alone_is_enough() -> None:
    assert load("Asia/Dhaka", start="2026-11-10") == {"start": "2026-11-09T18:00:00"}
    assert load("Asia/Dhaka", end="2026-11-10") == {"end": "2026-11-10T17:59:59.999999"}
    assert load() == {}


def test_an_end_before_its_start_is_refused_in_local_time() -> None:
    messages = refused("Asia/Dhaka", start="2026-11-11", end="2026-11-10")
    assert list(messages) == ["end_time"] and "2026-11-11T00:00:00+06:00" in messages["end_time"][0]
    # The zone decides: midnight in Dhaka is before midnight in UTC.
    assert refused("Asia/Dhaka", start="2026-11-11T00:00:00Z", end="2026-11-11T00:00:00")
    assert load(start="2026-11-11T00:00:00Z", end="2026-11-11T00:00:00")
    # Samoa had no 30 December in 2011.
    assert refused("Pacific/Apia", start="2011-12-30", end="2011-12-30")


@pytest.mark.parametrize(
    "text", ["", "yesterday", "2026-13-01", "2026-11-10Z", "0001-01-01T00:00:00+06:00", "1" * 5000]
)
@pytest.mark.parametrize("place", ["start", "end"])
def test_what_is_no_time_is_refused(place: str, text: str) -> None:
    messages = refused(**{place: text})
    assert list(messages) == [f"{place}_time"] and len(str(messages)) < 200


def test_the_ends_of_the_calendar_are_refused_where_a_zone_passes_them() -> None:
    assert refused("Asia/Dhaka", start="0001-01-01") and refused("America/Havana", end="9999-12-31")
    assert refused(start=datetime.max.isoformat())


def test_every_range_of_the_api_is_read_in_this_way() -> None:
    import greenpower.app  # noqa: F401  all resources

    def schemas(kind: type[ma.Schema]) -> set[type[ma.Schema]]:
        return {kind}.union(*map(schemas, kind.__subclasses__()))

    ranged = {kind for kind in schemas(ma.Schema) if {"start_time", "end_time"} & kind._declared_fields.keys()}
    assert len(ranged) > 6 and all(issubclass(kind, RangeQuery) for kind in ranged)
