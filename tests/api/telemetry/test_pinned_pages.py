"""Pages of rows are of one list, whatever the clock and the data do between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from greenpower.api.http import paging
from greenpower.api.telemetry import resolution
from greenpower.api.telemetry.tier_views import forget_tier_views
from greenpower.measure.windows import floor
from greenpower.mongo.schema.layout import WATERMARKS
from tests.api.energy.meter import PATH, Meters, Reading

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
Meanwhile = Callable[[], object]


def filled(meters: Meters, length: timedelta, step: timedelta) -> list[Reading]:
    """Readings up to some minutes ago, and the tiers of them up to an hour and a bit ago."""
    begin = meters.now.replace(microsecond=0) - length
    count = (length - 5 * MINUTE) // step
    readings: list[Reading] = [(begin + n * step, {"volts": 230.0 + n % 7, "energy": n / 8}) for n in range(count)]
    meters.store("M1", readings)
    meters.roll_up("M1", readings, meters.now - 70 * MINUTE)
    return readings


def pages(meters: Meters, meanwhile: Meanwhile, **parameters: Any) -> Iterator[dict[str, Any]]:
    """The answers of a list, one after the other; something happens between any two."""
    body = meters.body(**parameters)
    yield body
    while body["next"] is not None:
        meanwhile()
        body = meters.body(body["next"])
        yield body


def rows_of(bodies: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(row["device_id"], row["timestamp"]) for body in bodies for row in body["results"]]


@pytest.mark.parametrize("by", ["page", "cursor"])
@pytest.mark.parametrize("order", [None, "desc"])
def test_an_open_range_that_crosses_the_limit_of_points(
    meters: Meters, monkeypatch: pytest.MonkeyPatch, by: str, order: str | None
) -> None:
    readings = filled(meters, 10 * HOUR, 5 * MINUTE)
    # As many readings as raw may have: one more, and the finest resolution is another.
    monkeypatch.setattr(resolution, "MAX_POINTS_PER_DEVICE", len(readings))
    later = iter(readings[-1][0] + n * timedelta(seconds=1) for n in range(1, 60))

    def one_more() -> None:
        meters.store("M1", [(next(later), {"volts": 1.0, "energy": 100.0})])

    ask: dict[str, Any] = {"start_time": readings[0][0].isoformat(), "device_id": "M1", "page_size": 20}
    ask |= {"cursor": ""} if by == "cursor" else {}
    ask |= {"order": order} if order else {}
    assert meters.body(**ask)["resolution"] == "raw"
    bodies = list(pages(meters, one_more, **ask))
    assert {body["resolution"] for body in bodies} == {"raw"}
    # What was there at first is there once, in order; what came later is no part of it before its end.
    old = {time for time, _ in readings}
    times = [datetime.fromisoformat(stamp) for _, stamp in rows_of(bodies)]
    assert [time for time in times if time in old] == sorted(old, reverse=order == "desc")
    assert len(set(times)) == len(times)
    if by == "page":
        assert {body["count"] for body in bodies} == {len(readings)}
    # Whoever asks anew gets the other resolution.
    assert meters.body(**ask)["resolution"] != "raw"


@pytest.mark.parametrize("by", ["page", "cursor"])
def test_a_start_that_leaves_the_retention(meters: Meters, monkeypatch: pytest.MonkeyPatch, by: str) -> None:
    readings = filled(meters, 30 * HOUR, 5 * MINUTE)
    ask: dict[str, Any] = {"start_time": readings[0][0].isoformat(), "resolution": "auto", "page_size": 50}
    ask |= {"cursor": ""} if by == "cursor" else {}
    monkeypatch.setattr(resolution, "MAX_POINTS_PER_DEVICE", 300)
    first = meters.body(**ask)
    assert first["resolution"] == "10m"
    # The tier loses its beginning: the next coarser one goes back further.
    whole = meters.body(**{**ask, "page_size": 1000, "resolution": "10m"})["results"]

    def forget() -> None:
        monkeypatch.setattr(resolution, "MAX_POINTS_PER_DEVICE", 100)

    bodies = list(pages(meters, forget, **ask))
    assert {body["resolution"] for body in bodies} == {"10m"}
    assert rows_of(bodies) == [(row["device_id"], row["timestamp"]) for row in whole]
    assert meters.body(**ask)["resolution"] == "30m"


@pytest.mark.parametrize("start", [None, HOUR])
def test_pages_by_number_neither_repeat_nor_skip(meters: Meters, start: timedelta | None) -> None:
    readings = filled(meters, 3 * HOUR, MINUTE)
    removed = iter(readings)
    newer = iter(readings[-1][0] + n * timedelta(seconds=1) for n in range(1, 60))

    def move() -> None:
        """Retention takes an old one, a device adds a new one."""
        meters.database["meter_data"].delete_one({"device_id": "M1", "timestamp": next(removed)[0]})
        meters.store("M1", [(next(newer), {"volts": 1.0})])

    ask: dict[str, Any] = {"page_size": 25, "resolution": "raw"}
    if start is not None:
        ask["start_time"] = readings[0][0].isoformat()
    seen = [datetime.fromisoformat(stamp) for _, stamp in rows_of(list(pages(meters, move, **ask)))]
    assert len(set(seen)) == len(seen)
    left = {row["timestamp"] for row in meters.database["meter_data"].find({}, {"timestamp": 1})}
    assert {time for time, _ in readings} & left <= set(seen)
    assert seen == sorted(seen, reverse=start is None)


def test_links_name_what_was_chosen(meters: Meters) -> None:
    readings = filled(meters, 2 * HOUR, MINUTE)
    ahead = meters.now.replace(microsecond=0) + 4 * MINUTE  # of a device whose clock is ahead
    meters.store("M2", [(ahead, {"volts": 1.0})])
    body = meters.body(start_time=readings[0][0].isoformat(), page_size=10, fields="volts")
    chosen = parse_qs(urlsplit(body["next"]).query)
    assert chosen["resolution"] == ["raw"] and chosen["order"] == ["asc"] and chosen["count"] == ["exact"]
    assert datetime.fromisoformat(chosen["end_time"][0]) == ahead
    assert (chosen["page"], chosen["fields"]) == (["2"], ["volts"])
    second = meters.body(body["next"])
    assert (second["count"], second["resolution"]) == (body["count"], "raw")
    previous = parse_qs(urlsplit(second["previous"]).query)
    assert "cursor" not in previous and previous["page"] == ["1"]
    assert meters.body(second["previous"])["results"] == body["results"]
    # An end that was given stays as it was given.
    given = meters.body(start_time=readings[0][0].isoformat(), end_time=ahead.isoformat(), page_size=10)["next"]
    assert parse_qs(urlsplit(given).query)["end_time"] == [ahead.isoformat()]


def test_links_lead_behind_the_last_numbered_page(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    readings = filled(meters, 2 * HOUR, MINUTE)
    monkeypatch.setattr(paging, "MAX_PAGED_ENTRIES", 40)
    seen = rows_of(list(pages(meters, lambda: None, page_size=20, order="asc")))
    assert len(seen) == len(readings)
    assert meters.get(PATH, page=3, page_size=20).status_code == 422


def test_the_progress_of_the_rollups_between_pages(meters: Meters) -> None:
    readings = filled(meters, 6 * HOUR, MINUTE)
    ask: dict[str, Any] = {"start_time": readings[0][0].isoformat(), "resolution": "10m", "page_size": 5}
    whole = rows_of([meters.body(**{**ask, "page_size": 1000})])

    def fall_back() -> None:
        """The watermark moves: windows that were stored are made on the fly."""
        meters.database[WATERMARKS].update_one(
            {"prefix": "last_7_days_"}, {"$set": {"watermark": floor(readings[60][0], 600)}}
        )
        forget_tier_views(meters.app)

    assert rows_of(list(pages(meters, fall_back, **ask))) == whole
