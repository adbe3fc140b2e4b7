"""Lists at a resolution: which one, its tail, fields, statistics, order, positions and counts."""

from __future__ import annotations

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import count as counter
from typing import Any
from urllib.parse import parse_qs

import pytest

from greenpower.measure.windows import done_before, floor
from greenpower.mongo.rollups import on_the_fly
from greenpower.mongo.rollups import rows as rows_module
from tests.api.conftest import PATH as PROBE_PATH
from tests.api.conftest import Api
from tests.api.energy.meter import METER, PATH, Meters, Reading, buckets
from tests.measure.plain_mean import plain_mean

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def readings(begin: datetime, end: datetime, step: timedelta) -> list[Reading]:
    """A voltage that swings and a register that rises, with a reset."""
    found: list[Reading] = []
    for number in counter():
        time = begin + number * step
        if time >= end:
            return found
        energy = number / 8 if number < 700 else (number - 700) / 8
        found.append((time, {"volts": 230 + 10 * math.sin(number / 50), "energy": energy}))
    raise AssertionError


def pages(meters: Meters, **parameters: Any) -> Iterator[dict[str, Any]]:
    """The answers of a list, one after the other."""
    body = meters.body(**parameters)
    yield body
    while body["next"] is not None:
        body = meters.body(body["next"])
        yield body


@pytest.fixture(scope="module")
def stored(shared_meters: Meters) -> tuple[Meters, list[Reading]]:
    """Forty days of a reading every five minutes, and the tiers up to an hour and a bit ago."""
    meters = shared_meters
    meters.clear()
    now = meters.now.replace(microsecond=0)
    given = readings(now - 40 * DAY, now, 5 * MINUTE)
    meters.store("M1", given)
    meters.roll_up("M1", given, now - 70 * MINUTE)
    return meters, given


@pytest.mark.parametrize(
    ("back", "resolution"),
    [(HOUR, "raw"), (6 * DAY, "raw"), (7 * DAY - MINUTE, "10m"), (8 * DAY, "30m"), (39 * DAY, "30m")],
)
def test_the_finest_that_gives_few_enough_points(
    stored: tuple[Meters, list[Reading]], back: timedelta, resolution: str
) -> None:
    meters, _ = stored
    wanted = resolution if back < 30 * DAY else "3h"
    body = meters.body(start_time=(meters.now - back).isoformat(), device_id="M1")
    assert body["resolution"] == wanted and body["results"][0]["timestamp"] < body["results"][1]["timestamp"]
    assert meters.body(start_time=(meters.now - back).isoformat())["resolution"] == wanted


def test_without_a_range_readings_come_newest_first(stored: tuple[Meters, list[Reading]]) -> None:
    meters, given = stored
    body = meters.body()
    assert body["resolution"] == "raw" and body["results"][0]["payload"] == given[-1][1]
    assert meters.body(order="asc")["results"][0]["payload"] == given[0][1]


def test_a_narrow_page_has_room_for_a_day_in_minutes(stored: tuple[Meters, list[Reading]]) -> None:
    meters, given = stored
    asked: dict[str, Any] = {"start_time": given[0][0].isoformat(), "device_id": "M1", "resolution": "raw"}
    more = [meters.body(**asked, page=page, page_size=750, fields="volts") for page in (1, 2)]
    narrow = meters.body(**asked, page_size=1500, fields="volts", count="none")
    assert len(narrow["results"]) == 1500 and narrow["next"] is not None
    assert narrow["results"] == [row for body in more for row in body["results"]]
    assert [row["payload"] for row in narrow["results"]] == [{"volts": values["volts"]} for _, values in given[:1500]]
    following = meters.body(narrow["next"])["results"]
    assert following[0]["payload"] == {"volts": given[1500][1]["volts"]}


@pytest.mark.parametrize("resolution", ["1m", "10m", "30m", "3h", "6h"])
@pytest.mark.parametrize("order", ["asc", "desc"])
@pytest.mark.parametrize("by", ["page", "cursor"])
def test_a_tier_and_its_tail_are_what_readings_would_give(
    stored: tuple[Meters, list[Reading]], resolution: str, order: str, by: str
) -> None:
    meters, given = stored
    tier = next(tier for tier in METER.tiers if tier.resolution == resolution)
    assert tier.window is not None
    begin = floor(meters.now - 14 * HOUR, tier.window)
    # What is over depends on when it is asked for.
    earliest = done_before(datetime.now(UTC), None)
    parameters = {"start_time": begin.isoformat(), "resolution": resolution, "order": order, "page_size": 7}
    if by == "cursor":
        parameters["cursor"] = ""
    bodies = list(pages(meters, **parameters))
    rows = [row for body in bodies for row in body["results"]]
    wanted, later = (
        buckets("M1", given, begin, meters.now + DAY, tier.window, settled_before)
        for settled_before in (earliest, done_before(datetime.now(UTC), None))
    )
    assert all(body["resolution"] == resolution for body in bodies)
    assert bodies[0]["count"] == (None if by == "cursor" else len(rows))
    if order == "desc":
        rows.reverse()
    assert [datetime.fromisoformat(row["timestamp"]) for row in rows] == [bucket["timestamp"] for bucket in wanted]
    for row, *either in zip(rows, wanted, later, strict=True):
        assert any(row["payload"] == pytest.approx(bucket["payload"], rel=1e-12) for bucket in either)
    assert all((row["id"] is not None) == row["final"] for row in rows)
    provisional = [row for row in rows if not row["final"]]
    assert 1 <= len(provisional) <= 1 + math.ceil(3 * HOUR / timedelta(seconds=tier.window))


def test_a_tail_that_would_take_too_much_is_left_out(
    stored: tuple[Meters, list[Reading]], monkeypatch: pytest.MonkeyPatch
) -> None:
    meters, _ = stored
    monkeypatch.setattr(on_the_fly, "MAX_DOCUMENTS_ON_THE_FLY", 3)
    begin = (meters.now - 20 * HOUR).isoformat()
    for order in ("asc", "desc"):
        rows = meters.body(start_time=begin, resolution="10m", order=order, page_size=1000)["results"]
        assert len(rows) > 100 and all(row["final"] for row in rows)


def test_fields_and_statistics(stored: tuple[Meters, list[Reading]]) -> None:
    meters, given = stored
    begin = floor(meters.now - 5 * HOUR, 1800)
    parameters: dict[str, Any] = {"start_time": begin.isoformat(), "resolution": "30m", "page_size": 100}
    row = meters.body(**parameters, fields="volts", stats="true")["results"][0]
    samples = [(time, payload["volts"]) for time, payload in given]
    inside = [value for time, value in samples if begin <= time < begin + 30 * MINUTE]
    mean = plain_mean([time for time, _ in given], samples, begin, begin + 30 * MINUTE, METER.stale_after).mean
    assert list(row["payload"]) == ["volts"] == list(row["stats"])
    stats = row["stats"]["volts"]
    assert (stats["n"], stats["min"], stats["max"]) == (6, min(inside), max(inside))
    assert (stats["first"], stats["last"]) == (inside[0], inside[-1]) and stats["first_at"] < stats["last_at"]
    assert stats["sum"] == pytest.approx(sum(inside)) and stats["mean"] == pytest.approx(sum(inside) / 6)
    assert mean is not None and row["payload"]["volts"] == pytest.approx(float(mean))
    assert stats["seconds"] == 1_800
    assert row["coverage"]["count"] == 6 and list(row["coverage"]) == ["count", "first", "last", "seconds"]
    assert row["coverage"]["seconds"] == 1_800
    both = meters.body(**parameters, fields=["energy", "volts"], stats="true")["results"]
    assert all(part["stats"]["energy"]["energy"] == 0.625 for part in both[:-1])
    assert "stats" not in meters.body(**parameters)["results"][0]
    assert meters.body(fields="energy")["results"][0]["payload"].keys() == {"energy"}


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"fields": "amps"}, "fields"),
        ({"fields": "a,"}, "fields"),
        ({"fields": "$where"}, "fields"),
        ({"resolution": "7m"}, "resolution"),
        ({"order": "up"}, "order"),
        ({"count": "1"}, "count"),
        ({"stats": "perhaps"}, "stats"),
        ({"cursor": "x"}, "cursor"),
        ({"cursor": "WzFd"}, "cursor"),
        ({"cursor": "", "page": 2}, "page"),
        ({"device_id": "M1,"}, "device_id"),
    ],
)
def test_what_cannot_be_used_is_refused(shared_meters: Meters, parameters: dict[str, Any], wrong: str) -> None:
    response = shared_meters.get(PATH, **parameters)
    assert response.status_code == 422 and list(response.get_json()["errors"]["query"]) == [wrong], response.text


def test_a_position_stays_with_its_list(stored: tuple[Meters, list[Reading]]) -> None:
    meters, _ = stored
    body = meters.body(cursor="", start_time=(meters.now - 2 * HOUR).isoformat(), page_size=3, resolution="10m")
    following = body["next"]
    assert meters.get(following.replace("resolution=10m", "resolution=raw")).status_code == 422
    assert meters.get(following.replace("order=asc", "order=desc")).status_code == 422
    # What was chosen for the first page stays chosen, whatever is chosen now.
    assert meters.body(following.replace("resolution=10m", "resolution=auto"))["resolution"] == "10m"


def test_a_link_has_what_was_asked_for_as_it_was_asked(shared_meters: Meters) -> None:
    odd = f"{PATH}?device_id=M1&page_size=1&%70age=2&start_time=2020-01-01T00:00:00%2B06:00&&stats=0"
    body = shared_meters.body(odd)
    address = f"http://localhost{PATH}?device_id=M1&page_size=1&start_time=2020-01-01T00:00:00%2B06:00&stats=0"
    for link, page in ((body["previous"], "1"), (body["next"], "3")):
        assert link is None or link.startswith(f"{address}&")
        added = parse_qs(link.removeprefix(address)) if link else {}
        assert not link or (added["page"] == [page] and {"resolution", "order", "count", "end_time"} <= set(added))
    shared_meters.store('\u00e9"', [(shared_meters.now, {"volts": 1.0})])
    assert shared_meters.get(f'{PATH}?device_id=\u00e9"&page=2').get_json()["previous"].isascii()


def test_several_devices_with_commas_and_repeated(api: Api) -> None:
    stamp = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    api.add(*[(name, stamp, {"volts": 1}) for name in "ABCD"])
    for given in ("A,B,C", ["A", "B", "C"]):
        rows = api.get(PROBE_PATH, device_id=given).get_json()["results"]
        assert {row["device_id"] for row in rows} == {"A", "B", "C"}


@pytest.mark.parametrize("order", ["asc", "desc"])
def test_positions_are_exact_beside_inserts_on_both_sides(api: Api, order: str) -> None:
    start = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    # Three devices in step, so that pages cut across ties.
    api.add(*[(name, start + n * MINUTE, {"volts": n}) for n in range(40) for name in ("A", "B", "C")])
    before = {(row["device_id"], row["timestamp"]) for row in api.readings.find()}
    seen: list[tuple[str, str]] = []
    url, number = PROBE_PATH + f"?cursor=&order={order}&page_size=7", 0
    while url:
        body = api.get(url).get_json()
        seen += [(row["device_id"], row["timestamp"]) for row in body["results"]]
        url, number = body["next"], number + 1
        # Behind and ahead of the reader, and beside its current row.
        here = datetime.fromisoformat(seen[-1][1])
        side = -1 if order == "asc" else 1
        api.add((f"0{number}", start - side * HOUR + number * MINUTE, {"volts": 0}), (f"@{number}", here, {"volts": 0}))
        api.add((f"z{number}", here + side * timedelta(seconds=1), {"volts": 0}))
    old = [row for row in seen if row[0] in "ABC"]
    assert len(old) == len(set(old)) == len(before) and len(set(seen)) == len(seen)
    assert old == sorted(old, key=lambda row: (row[1], row[0]), reverse=order == "desc")
    assert not [row for row in seen if row[0].startswith("z")]


def test_the_last_page_needs_no_count(meters: Meters, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = meters.now.replace(microsecond=0) - HOUR
    meters.store("M1", readings(begin, begin + 50 * MINUTE, MINUTE))
    asked: dict[str, Any] = {"start_time": begin.isoformat(), "resolution": "raw", "page_size": 20}
    assert [meters.body(**asked, page=number)["count"] for number in (1, 2, 3, 4)] == [50] * 4

    def refuse(*_: Any) -> int:
        raise AssertionError

    monkeypatch.setattr(rows_module, "count", refuse)
    assert meters.body(**asked, page=3)["count"] == 50
    assert meters.body(**{**asked, "page_size": 50})["count"] == 50


def test_counts_cost_what_they_say(api: Api) -> None:
    start = datetime.fromisoformat("2026-03-01T00:00:00+00:00")
    api.add(*[("A", start + n * MINUTE, {"volts": n}) for n in range(3_000)])
    ask = {"device_id": "A", "start_time": "2026-03-01"}
    assert api.get(PROBE_PATH, **ask).get_json()["count"] == 3_000
    assert api.get(PROBE_PATH, **ask, count="none").get_json()["count"] is None
    estimated = api.get(PROBE_PATH, **ask, count="estimated").get_json()["count"]
    assert abs(estimated - 3_000) < 30
    few = {**ask, "end_time": "2026-03-01T10:00:00Z"}
    assert api.get(PROBE_PATH, **few, count="estimated").get_json()["count"] == 601
    assert api.get(PROBE_PATH, **ask, cursor="").get_json()["count"] is None
    assert api.get(PROBE_PATH, **ask, cursor="", count="exact").get_json()["count"] == 3_000


@pytest.mark.parametrize(
    "parameters",
    [{"page_size": 1501, "fields": "volts"}, {"page_size": 1001}, {"page_size": 1001, "fields": "volts", "stats": 1}],
)
def test_wide_rows_come_in_smaller_pages(shared_meters: Meters, parameters: dict[str, Any]) -> None:
    answer = shared_meters.get(PATH, **parameters)
    assert answer.status_code == 422 and "page_size" in answer.get_json()["errors"]["query"]
