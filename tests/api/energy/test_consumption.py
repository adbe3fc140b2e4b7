"""Energy by local time, held against a plain recomputation from the readings."""

from __future__ import annotations

import random
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from greenpower.mongo.energy.consumption import EnergyReader
from greenpower.mongo.rollups.decisions import record_swap
from greenpower.mongo.schema.layout import INCIDENTS
from greenpower.sql import Device, ServiceZone
from greenpower.sql.extensions import db
from tests.api.energy.meter import METER, PATH, RATE, Meters, Reading
from tests.measure.plain_count import PlainCount
from tests.measure.plain_counter import count
from tests.measure.plain_series import PlainMeter, PlainSwap

URL = PATH + "consumption/"
ZONES = (
    "UTC", "Asia/Dhaka", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "Pacific/Chatham",
)  # fmt: skip
QUARTER, HOUR, DAY = timedelta(minutes=15), timedelta(hours=1), timedelta(days=1)
MILLION = 10**6
FORMS = {"week": r"%G-W%V", "month": "%Y-%m", "year": "%Y", "day": "%Y-%m-%d", "hour": "%Y-%m-%dT%H:%M"}
Body = Mapping[str, Any]


def simulate(seed: int, begin: datetime, end: datetime) -> list[Reading]:
    """A register that is read every quarter of an hour, and what happens to it: dips, resets, gaps, suspect steps."""
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


class Wanted:
    """What a plain recomputation counted, by sums up to each of its samples."""

    def __init__(self, counted: PlainCount) -> None:
        self.steps = counted.steps
        self.times = [step.at for step in self.steps]
        self.energies = [0, *accumulate(step.counts for step in self.steps)]
        self.silences = [0, *accumulate(step.silence for step in self.steps)]

    def between(self, begin: datetime, end: datetime) -> tuple[int | None, int, int]:
        """Counts (None where there is no sample), samples and seconds of silence of the samples in `[begin, end)`."""
        low, high = bisect_left(self.times, begin), bisect_left(self.times, end)
        energy = self.energies[high] - self.energies[low] if high > low else None
        return energy, high - low, self.silences[high] - self.silences[low]

    def register_before(self, boundary: datetime) -> float | None:
        place = bisect_left(self.times, boundary)
        return self.steps[place - 1].value if place else None


def plain(readings: Sequence[Reading], swaps: tuple[PlainSwap, ...] = ()) -> Wanted:
    """What the counter of a meter counted, recomputed."""
    meter = PlainMeter(rate=RATE, floor=50, stale_after=METER.stale_after, swaps=swaps)
    return Wanted(count([(at, values["energy"]) for at, values in readings], meter))


def rising(begin: datetime, step: timedelta, values: Sequence[float]) -> list[Reading]:
    """A register at regular times."""
    return [(begin + number * step, {"energy": value}) for number, value in enumerate(values)]


@dataclass(frozen=True, slots=True)
class Year:
    """Two devices over a year and more, the second of which got a new meter."""

    meters: Meters
    begin: datetime
    wanted: Mapping[str, Wanted]


@pytest.fixture(scope="module")
def year(shared_meters: Meters) -> Iterator[Year]:
    meters = shared_meters
    meters.clear()
    begin = meters.now.replace(hour=0, minute=0, second=0, microsecond=0) - 400 * DAY
    devices = {name: simulate(seed, begin, meters.now) for seed, name in enumerate(("M1", "M2"))}
    at = devices["M2"][20_000][0]
    swap = PlainSwap(at=at, last=devices["M2"][19_999][1]["energy"] + 1.5, first=devices["M2"][20_000][1]["energy"])
    record_swap(meters.database[INCIDENTS], METER.name, "M2", at, {"energy": (swap.last, swap.first)}, "test")
    for name, readings in devices.items():
        meters.store(name, readings)
    meters.run_rollups()
    yield Year(meters, begin, {"M1": plain(devices["M1"]), "M2": plain(devices["M2"], (swap,))})
    meters.clear()


def exact(value: float | None) -> Fraction:
    return Fraction(repr(value or 0))


def reconciles(body: Body) -> None:
    """Whether buckets and devices add up to their totals, to the last digit."""
    assert sum(exact(row["energy"]) for row in body["results"]) == exact(body["total"])
    for device in body["devices"]:
        assert sum(exact(row["energy"]) for row in device["results"]) == exact(device["total"])
    for number, row in enumerate(body["results"]):
        assert sum(exact(device["results"][number]["energy"]) for device in body["devices"]) == exact(row["energy"])


def bounds(body: Body) -> list[tuple[datetime, datetime]]:
    return [(datetime.fromisoformat(row["start"]), datetime.fromisoformat(row["end"])) for row in body["results"]]


def agrees(body: Body, wanted: Mapping[str, Wanted]) -> None:
    """Whether every row is what the plain recomputation says."""
    for device in body["devices"]:
        counted = wanted[device["device_id"]]
        for row, (start, end) in zip(device["results"], bounds(body), strict=True):
            energy = None if row["energy"] is None else round(row["energy"] * MILLION)
            assert (energy, row["samples"], row["silence_s"]) == counted.between(start, end), row
            for name, boundary in (("first", start), ("last", end)):
                register = row[name] and row[name]["value"]
                assert register == counted.register_before(boundary), (name, row)
                assert register is None or datetime.fromisoformat(row[name]["at"]) < boundary
            assert 0 <= row["coverage"] <= 1
    reconciles(body)


def midnights(first: date, last: date, zone: ZoneInfo) -> list[datetime]:
    days = (last - first).days
    return [datetime.combine(first + n * DAY, time(), zone).astimezone(UTC) for n in range(days + 1)]


def iso(value: datetime) -> str:
    return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@pytest.mark.parametrize("tz", ZONES)
def test_a_year_of_days_equals_the_plain_recomputation(year: Year, tz: str) -> None:
    meters = year.meters
    zone = ZoneInfo(tz)
    last = meters.now.astimezone(zone).date()
    first = last - 400 * DAY
    start = midnights(first, first, zone)[0]
    body = meters.body(URL, bucket="day", tz=tz, start_time=iso(start), end_time=iso(meters.now))
    expected = midnights(first, last + DAY, zone)
    assert [row["bucket"] for row in body["results"]] == [f"{first + n * DAY}" for n in range((last - first).days + 1)]
    assert bounds(body) == list(pairwise(expected))
    assert (body["unit"], body["field"], body["tz"]) == ("kWh", "energy", tz)
    assert (datetime.fromisoformat(body["start"]), datetime.fromisoformat(body["end"])) == (expected[0], expected[-1])
    assert not [moved for moved in body["moved"] if moved["device_id"] is None]
    agrees(body, year.wanted)


@pytest.mark.parametrize("bucket", ["week", "month", "year", "hour"])
@pytest.mark.parametrize("tz", ZONES)
def test_other_stretches_too(year: Year, bucket: str, tz: str) -> None:
    meters = year.meters
    span = timedelta(days=8) if bucket == "hour" else 360 * DAY
    body = meters.body(URL, bucket=bucket, tz=tz, start_time=iso(meters.now - span), device_id="M1,M2")
    agrees(body, year.wanted)
    assert not body["results"][-1]["final"] and body["results"][0]["final"] and not body["final"]
    for (start, _), row in zip(bounds(body), body["results"], strict=True):
        assert row["bucket"].startswith(start.strftime(FORMS[bucket]))


@pytest.mark.parametrize("tz", ZONES)
def test_quarters_hours_days_and_months_add_up_to_the_same(year: Year, tz: str) -> None:
    """Over months with both clock changes of Berlin in them."""
    meters, zone = year.meters, ZoneInfo(tz)
    last = meters.now.astimezone(zone).date()
    for month in (3, 10):
        first = date(last.year if (last.year, month) < (last.year, last.month) else last.year - 1, month, 1)
        after = (first + 31 * DAY).replace(day=1)
        begin, end = midnights(first, first, zone)[0], midnights(after, after, zone)[0]
        asked = {"tz": tz, "start_time": iso(begin), "end_time": iso(end - timedelta(seconds=1))}
        months, days, hours = (meters.body(URL, bucket=bucket, **asked) for bucket in ("month", "day", "hour"))
        for device_months, device_days, device_hours in zip(
            months["devices"], days["devices"], hours["devices"], strict=True
        ):
            [month_row] = device_months["results"]
            of_day: defaultdict[str, Fraction] = defaultdict(Fraction)
            for row in device_hours["results"]:
                of_day[row["bucket"][:10]] += exact(row["energy"])
            assert of_day == {row["bucket"]: exact(row["energy"]) for row in device_days["results"]}
            assert sum(of_day.values()) == exact(month_row["energy"]) > 0
            assert sum(row["samples"] for row in device_hours["results"]) == month_row["samples"]
        with meters.app.app_context():
            reader = EnergyReader.open(meters.database, METER, meters.settings, "energy", meters.now)
            steps = [begin + number * QUARTER for number in range((end - begin) // QUARTER + 1)]
            found = reader.read(["M1", "M2"], steps)
        for device in months["devices"]:
            total = sum(stretch.energy for stretch in found[device["device_id"]].stretches)
            assert Fraction(total, MILLION) == exact(device["total"])


def test_a_stretch_has_one_answer_wherever_the_range_begins(year: Year) -> None:
    meters, zone = year.meters, ZoneInfo("Asia/Kathmandu")
    chance = random.Random(7)
    for bucket, length in (("hour", 30 * HOUR), ("day", 9 * DAY), ("month", 70 * DAY)):
        known: dict[tuple[str, str], Any] = {}
        for number in range(24):
            start = meters.now - length - number * HOUR - timedelta(minutes=chance.randrange(60), seconds=17)
            end = meters.now - timedelta(minutes=chance.randrange(600))
            body = meters.body(URL, bucket=bucket, tz=zone.key, start_time=iso(start), end_time=iso(end))
            for device in body["devices"]:
                for row in device["results"]:
                    del row["final"], row["coverage"]  # of the bucket that is not over
                    assert known.setdefault((device["device_id"], row["bucket"]), row) == row


def test_of_a_zone_of_a_device_and_of_nobody(year: Year) -> None:
    meters = year.meters
    with meters.app.app_context():
        zone = ServiceZone(name="Block A")
        db.session.add_all([zone, Device(device_id="M2", zone=zone), Device(device_id="M9", zone=zone)])
        db.session.commit()
        number = zone.id
    body = meters.body(URL, zone_id=number)
    assert [device["device_id"] for device in body["devices"]] == ["M2", "M9"]
    assert body["total"] == body["devices"][0]["total"] > 0 and len(body["results"]) == 31
    nobody = body["devices"][1]
    assert nobody["total"] is None and {row["energy"] for row in nobody["results"]} == {None}
    assert {row["coverage"] for row in body["results"]} == {0.0}, "of the worst device"
    assert [device["device_id"] for device in meters.body(URL)["devices"]] == ["M1", "M2"]
    empty = meters.body(URL, zone_id=number, device_id="M1")
    assert empty["devices"] == [] and empty["total"] is None
    refused = meters.get(URL, zone_id=number + 1)
    assert refused.status_code == 422 and str(number + 1) in str(refused.get_json()["errors"]["query"]["zone_id"])


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


@pytest.mark.parametrize(
    ("start", "end"),
    [
        ("0001-01-03", "0002-02-03"),
        ("1883-11-17", "1883-11-19"),
        ("1969-12-31", "1970-01-01"),
        ("9990-01-01", "9998-12-01"),
    ],
)
@pytest.mark.parametrize("bucket", ["day", "month", "year"])
def test_times_of_which_nothing_is_known_are_answered(year: Year, start: str, end: str, bucket: str) -> None:
    for tz in ("UTC", "America/St_Johns"):
        response = year.meters.get(URL, bucket=bucket, tz=tz, start_time=start, end_time=end)
        if bucket == "day" and start > "9":
            assert response.status_code == 422
            continue
        body = response.get_json()
        assert body["total"] is None and {row["energy"] for row in body["results"]} == {None}
        assert body["final"] == (start < "9")
        off = {row["to"] for row in body["moved"] if row["resolution"] == "15m"}
        # Local mean time is on no quarter-hour.
        assert bool(off) == (tz == "America/St_Johns" and start < "1935")
