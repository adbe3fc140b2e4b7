"""Lists of days that a tier keeps no longer: their buckets are made from readings, and are those that were stored."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from typing import Any

import orjson
import pytest

from greenpower.api.http.json import encode
from greenpower.datatype import DataType
from greenpower.measure.windows import floor
from greenpower.mongo.client import Document
from greenpower.mongo.rollups import on_the_fly
from greenpower.mongo.rollups.past import past_stretch
from greenpower.mongo.rollups.present import presenter
from tests.api.energy.meter import METER, PATH, Meters, Reading
from tests.rollups.world import run_all

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
STEP = timedelta(seconds=100)
TIER = "today_meter_data"
Rows = list[dict[str, Any]]


@pytest.fixture(scope="module")
def expired(shared_meters: Meters) -> tuple[Meters, datetime, Rows]:
    """Two meters of three days, of which the tier of minutes has lost all but the last; the begin, and its rows as
    they would be if all were kept."""
    meters = shared_meters
    meters.clear()
    begin = floor(meters.now, 3_600) - 3 * DAY
    for device, left_out in (("M1", 97), ("M2", 7)):
        given: list[Reading] = []
        for number in range((meters.now - begin) // STEP):
            at = begin + number * STEP + timedelta(milliseconds=123)
            if number % left_out and not HOUR < at - begin - 5 * HOUR < 3 * HOUR:
                register = number / 8 if number < 900 else (number - 900) / 8
                given.append((at, {"volts": 230 + 10 * math.sin(number / 50), "energy": register}))
        meters.store(device, given)
    kept = meters.settings.model_copy(update={"mongo_today_ttl_seconds": 0})
    types: list[DataType] = [METER]
    run_all(meters.database, types, kept, clock=lambda: meters.now - 10 * MINUTE)
    # What the expiry would have taken by now.
    tier_view = next(view for view in meters.tier_views() if view.resolution == "1m")
    order = [("timestamp", 1), ("device_id", 1)]
    stored = list(meters.database[TIER].find({"timestamp": {"$gte": begin}}).sort(order))
    rows: Rows = orjson.loads(encode([presenter(tier_view, (), with_stats=True)(row) for row in stored]))
    meters.database[TIER].delete_many({"timestamp": {"$lt": tier_view.kept_from}})
    meters.run_rollups(meters.now - 10 * MINUTE)
    return meters, begin, rows


def asked(meters: Meters, **parameters: Any) -> Rows:
    """All rows of a list, page by page."""
    body = meters.body(PATH, resolution="1m", stats="true", **parameters)
    rows: Rows = body["results"]
    while body["next"] is not None:
        body = meters.body(body["next"])
        rows += body["results"]
    return rows


def plain(rows: Rows) -> Rows:
    """Rows without their ids: what is made has none."""
    return [{name: value for name, value in row.items() if name != "id"} for row in rows]


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("device", ["M1", "M2"])
def test_a_day_that_has_expired_is_what_it_was(expired: tuple[Meters, datetime, Rows], order: str, device: str) -> None:
    meters, begin, stored = expired
    start, end = begin + 4 * HOUR, begin + DAY
    wanted = [
        row for row in stored
        if row["device_id"] == device and start <= datetime.fromisoformat(row["timestamp"]) <= end
    ]  # fmt: skip
    ask = {"device_id": device, "start_time": start.isoformat(), "end_time": end.isoformat(), "order": order}
    found = asked(meters, **ask, page_size=1000)
    assert all(row["id"] is None and row["final"] for row in found) and len(found) > 300
    assert plain(found if order == "asc" else found[::-1]) == plain(wanted)


@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("by", ["page", "cursor"])
def test_pages_go_from_what_is_made_to_what_is_stored(
    expired: tuple[Meters, datetime, Rows], order: str, by: str
) -> None:
    meters, begin, stored = expired
    end = begin + 3 * DAY - 2 * HOUR
    start = end - DAY - 30 * MINUTE
    wanted = [row for row in stored if start <= datetime.fromisoformat(row["timestamp"]) <= end]
    ask = {"start_time": start.isoformat(), "end_time": end.isoformat(), "order": order, "page_size": 333}
    if by == "cursor":
        ask |= {"cursor": "", "count": "exact"}
    first = meters.body(PATH, resolution="1m", **ask)
    assert first["count"] == len(wanted)
    found = asked(meters, **ask)
    if order == "desc":
        found.sort(key=lambda row: (row["timestamp"], row["device_id"]))
    assert plain(found) == plain(wanted)
    assert {row["id"] is None for row in found} == {True, False}


def test_the_flat_form_and_the_export_have_it_too(expired: tuple[Meters, datetime, Rows]) -> None:
    meters, begin, stored = expired
    start, end = begin + 4 * HOUR, begin + 8 * HOUR
    span = {"start_time": start.isoformat(), "end_time": end.isoformat(), "resolution": "1m", "fields": "volts"}
    wanted = [
        (row["timestamp"], row["device_id"], row["payload"]["volts"])
        for row in stored
        if start <= datetime.fromisoformat(row["timestamp"]) <= end
    ]
    flat = meters.body(f"{PATH}flat/", **span)
    assert [(row["timestamp"], row["device_id"], row["value"]) for row in flat["results"]] == wanted
    lines = [orjson.loads(line) for line in meters.get(f"{PATH}export/", **span).text.splitlines()]
    assert sorted((row["timestamp"], row["device_id"], row["payload"]["volts"]) for row in lines) == wanted


def test_what_would_take_too_much_is_not_made(
    expired: tuple[Meters, datetime, Rows], monkeypatch: pytest.MonkeyPatch
) -> None:
    meters, begin, stored = expired
    monkeypatch.setattr(on_the_fly, "MAX_DOCUMENTS_ON_THE_FLY", 3)
    ask: Document = {"start_time": (begin + HOUR).isoformat(), "resolution": "1m"}
    assert meters.body(PATH, **ask, end_time=(begin + DAY).isoformat())["results"] == []
    kept = meters.body(PATH, **ask)
    assert kept["count"] < len(stored) / 2 and all(row["id"] for row in kept["results"])


def test_only_what_has_expired_is_made(expired: tuple[Meters, datetime, Rows]) -> None:
    meters, begin, _ = expired
    views = meters.tier_views()
    minutes, coarser = views[1], views[2]
    kept_from = minutes.kept_from
    assert past_stretch(views, minutes, kept_from + MINUTE, None) is None
    assert past_stretch(views, minutes, None, begin) is None
    assert past_stretch(views, views[0], begin, None) is None
    assert past_stretch(views, coarser, begin, None) is None
    made = past_stretch(views, minutes, begin + HOUR + timedelta(seconds=1), None)
    assert made is not None and made[0] == begin + HOUR + MINUTE
    assert kept_from < made[1] < kept_from + 3 * MINUTE
