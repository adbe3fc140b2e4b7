"""Energy by local time, held against a plain recomputation from the readings."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from greenpower.measure.counter.rules import OperatorDecision, Swap
from greenpower.mongo.rollups.incidents import record_swap
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import Device, ServiceZone
from greenpower.sql.extensions import db
from greenpower.stack import Mongod
from tests.api.conftest import close_app
from tests.api.energy.meter import METER, PATH, RATE, Meters, Reading, make_meters
from tests.measure import plain

URL = PATH + "consumption/"
ZONES = ("Asia/Dhaka", "Asia/Kathmandu", "Europe/Berlin")
QUARTER = timedelta(minutes=15)
DAY = timedelta(days=1)


def simulate(seed: int, begin: datetime, end: datetime) -> list[Reading]:
    """A register that is read every quarter of an hour, and what befalls it: dips, resets, gaps, suspect steps."""
    chance = random.Random(seed)
    readings: list[Reading] = []
    milli, silent = chance.randrange(10**7), 0
    now = begin
    while now < end:
        milli += chance.randrange(4_000)
        lot = chance.random()
        if lot < 0.0005:
            milli = chance.randrange(1_000)
        elif lot < 0.0008:
            silent = chance.randrange(4, 400)
        elif lot < 0.0010:
            milli += 10**9
        shown = milli if chance.random() > 0.002 else chance.randrange(milli + 1)
        if silent:
            silent -= 1
        else:
            readings.append((now, {"energy": shown / 1000, "volts": 230.0}))
        now += QUARTER if chance.random() > 0.1 else timedelta(seconds=chance.randrange(800, 1000))
    return readings


class Plain:
    """The energy up to any time, added up sample by sample."""

    def __init__(self, readings: Sequence[Reading], swap: Swap | None = None) -> None:
        parts = [list(readings)]
        if swap is not None:
            parts = [[r for r in readings if r[0] < swap.at], [r for r in readings if r[0] >= swap.at]]
        kept = [sample for part in parts for sample in plain.kept([(at, values["energy"]) for at, values in part])]
        self.times = [at for at, _ in kept]
        total = Fraction()
        self.totals = [total]
        for before, after in pairwise(kept):
            step = Fraction(after[1]) - Fraction(before[1])
            if swap is not None and before[0] < swap.at <= after[0]:
                total += step + Fraction(swap.last) - Fraction(swap.first)
            else:
                total += step + plain.between(before, after, RATE, None)
            self.totals.append(total)

    def until(self, boundary: datetime) -> Fraction | None:
        """Up to the last sample that is not after a boundary."""
        place = bisect_right(self.times, boundary)
        return self.totals[place - 1] if place else None

    def between(self, begin: datetime, end: datetime) -> Fraction | None:
        before, after = self.until(begin), self.until(end)
        if after is None or bisect_right(self.times, begin) == bisect_right(self.times, end):
            return None
        return after - (before or 0)


def midnights(first: date, last: date, zone: ZoneInfo) -> list[datetime]:
    days = (last - first).days
    return [datetime.combine(first + n * DAY, time(), zone).astimezone(UTC) for n in range(days + 1)]


def close(value: float | None, wanted: Fraction | None) -> bool:
    if value is None or wanted is None:
        return value is None and wanted is None
    return abs(Fraction(value) - wanted) < Fraction(15, 10**7)


@pytest.fixture(scope="module")
def year(shared_meters: Meters) -> Iterator[tuple[Meters, dict[str, Plain]]]:
    """Two devices, a year and more of them, one of which got a new meter."""
    meters = shared_meters
    meters.clear()
    begin = meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - 370 * DAY
    devices = {name: simulate(seed, begin, meters.now) for seed, name in enumerate(("M1", "M2"))}
    at = devices["M2"][20_000][0]
    swap = Swap(at=at, last=devices["M2"][19_999][1]["energy"] + 1.5, first=devices["M2"][20_000][1]["energy"])
    record_swap(meters.database[INCIDENTS], METER.name, "M2", at, {"energy": (swap.last, swap.first)}, "test")
    for name, readings in devices.items():
        decisions = {"energy": OperatorDecision(swaps=(swap,))} if name == "M2" else None
        meters.store(name, readings)
        meters.roll_up(name, readings, meters.now - timedelta(minutes=5), decisions=decisions)
    yield meters, {name: Plain(readings, swap if name == "M2" else None) for name, readings in devices.items()}
    meters.clear()


@pytest.mark.parametrize("tz", ZONES)
def test_a_year_of_days_equals_the_plain_recomputation(year: tuple[Meters, dict[str, Plain]], tz: str) -> None:
    meters, wanted = year
    zone = ZoneInfo(tz)
    last = meters.now.astimezone(zone).date()
    first = last - 366 * DAY
    body = meters.body(
        URL, bucket="day", tz=tz, start_time=_iso(midnights(first, first, zone)[0]), end_time=_iso(meters.now)
    )
    bounds = midnights(first, last + DAY, zone)
    assert [row["bucket"] for row in body["results"]] == [f"{first + n * DAY}" for n in range((last - first).days + 1)]
    assert [datetime.fromisoformat(row["start"]) for row in body["results"]] == bounds[:-1]
    assert body["unit"] == "kWh" and body["field"] == "energy"
    assert not [moved for moved in body["moved"] if moved["device_id"] is None]
    for device in body["devices"]:
        by_hand = wanted[device["device_id"]]
        for row, (start, end) in zip(device["results"], pairwise(bounds), strict=True):
            assert close(row["energy"], by_hand.between(start, end)), (device["device_id"], row)
            assert 0 <= row["coverage"] <= 1
    reconciles(body)


@pytest.mark.parametrize("bucket", ["week", "month", "year", "hour"])
@pytest.mark.parametrize("tz", ZONES)
def test_other_stretches_too(year: tuple[Meters, dict[str, Plain]], bucket: str, tz: str) -> None:
    meters, wanted = year
    span = timedelta(days=8) if bucket == "hour" else 360 * DAY
    body = meters.body(URL, bucket=bucket, tz=tz, start_time=_iso(meters.now - span), device_id="M1,M2")
    for device in body["devices"]:
        for row, axis in zip(device["results"], body["results"], strict=True):
            start, end = (datetime.fromisoformat(axis[name]) for name in ("start", "end"))
            assert close(row["energy"], wanted[device["device_id"]].between(start, end)), (bucket, row)
    reconciles(body)
    assert not body["results"][-1]["final"] and body["results"][0]["final"]
    form = {"week": r"%G-W%V", "month": "%Y-%m", "year": "%Y", "hour": "%Y-%m-%dT%H:%M"}[bucket]
    assert all(
        datetime.fromisoformat(row["start"]).strftime(form)
        == row["bucket"][: len(row["bucket"]) - 6 * (bucket == "hour")]
        for row in body["results"]
    )


def reconciles(body: dict[str, Any]) -> None:
    """Whether buckets and devices add up to their totals, to the last digit."""

    def exact(value: float | None) -> Fraction:
        return Fraction(repr(value or 0))

    assert sum(exact(row["energy"]) for row in body["results"]) == exact(body["total"])
    for device in body["devices"]:
        assert sum(exact(row["energy"]) for row in device["results"]) == exact(device["total"])
    for number, row in enumerate(body["results"]):
        assert sum(exact(device["results"][number]["energy"]) for device in body["devices"]) == exact(row["energy"])


def test_of_a_zone_of_a_device_and_of_nobody(year: tuple[Meters, dict[str, Plain]]) -> None:
    meters, _ = year
    with meters.app.app_context():
        zone = ServiceZone(name="Block A")
        db.session.add_all([zone, Device(device_id="M2", zone=zone), Device(device_id="M9", zone=zone)])
        db.session.commit()
        number = zone.id
    body = meters.body(URL, zone_id=number)
    assert [device["device_id"] for device in body["devices"]] == ["M2", "M9"]
    assert body["total"] == body["devices"][0]["total"] > 0 and len(body["results"]) == 31
    nobody = body["devices"][1]
    assert nobody["total"] == 0 and {row["energy"] for row in nobody["results"]} == {None}
    assert [device["device_id"] for device in meters.body(URL)["devices"]] == ["M1", "M2"]
    assert meters.body(URL, zone_id=number, device_id="M1")["devices"] == []
    assert meters.get(URL, zone_id=number + 1).status_code == 404


@pytest.mark.parametrize(
    ("parameters", "wrong"),
    [
        ({"tz": "Mars/Phobos"}, "tz"),
        ({"tz": "../../etc/passwd"}, "tz"),
        ({"bucket": "fortnight"}, "bucket"),
        ({"field": "volts"}, "field"),
        ({"zone_id": 0}, "zone_id"),
        ({"bucket": "hour", "start_time": "2020-01-01"}, "start_time"),
        ({"bucket": "year", "start_time": "0001-01-01"}, "start_time"),
    ],
)
def test_what_cannot_be_used_is_refused(shared_meters: Meters, parameters: dict[str, Any], wrong: str) -> None:
    response = shared_meters.get(URL, **parameters)
    assert response.status_code == 422 and list(response.get_json()["errors"]["query"]) == [wrong], response.text


def test_where_only_coarse_tiers_are_left_the_boundaries_move_and_the_answer_says_so(
    tmp_path: Path, mongod: Mongod
) -> None:
    app, meters = make_meters(tmp_path, mongod.uri, "test_meters_short", mongo_raw_ttl_seconds=35 * 86_400)
    meters.clear()
    begin = meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - 120 * DAY
    readings = simulate(5, begin, meters.now)
    meters.store("M1", [reading for reading in readings if reading[0] > meters.now - 35 * DAY])
    meters.roll_up("M1", readings, meters.now - timedelta(minutes=5))
    by_hand = Plain(readings)
    zone = ZoneInfo("Asia/Kathmandu")
    body = meters.body(URL, tz=zone.key, start_time=_iso(meters.now - 100 * DAY))
    moved = {row["boundary"]: row for row in body["moved"] if row["device_id"] is None}
    assert 60 < len(moved) < 70
    places = []
    for axis in (*body["results"], {"start": body["results"][-1]["end"]}):
        start = datetime.fromisoformat(axis["start"]).astimezone(UTC)
        row = moved.get(_iso(start))
        # Midnight is 18:15 UTC; older than the readings, buckets of three hours are left.
        assert row is None or (row["resolution"], row["to"][11:]) == ("3h", "18:00:00.000Z")
        places.append(start if row is None else datetime.fromisoformat(row["to"]))
    for row, (start, end) in zip(body["devices"][0]["results"], pairwise(places), strict=True):
        # A sample on the edge of two buckets is the first of the second one.
        assert close(row["energy"], by_hand.between(start, end)), row
    reconciles(body)
    meters.database.client.drop_database(meters.settings.mongo_db_name)
    close_app(app)


def _iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
