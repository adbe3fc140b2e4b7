"""Means over time through MQTT, ingest, rollups and the API: of meters that do not send at even steps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from greenpower.catalog.registry import load_registry
from greenpower.mongo.client import Document
from greenpower.mongo.schema.layout import INVALIDATIONS
from greenpower.stack import Mongod, Mosquitto, Valkey
from tests.api.energy.chain import Chain, aware, make_chain
from tests.measure.plain_mean import PlainSegments, limits
from tests.rollups.world import run_all

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
PATH = "/api/telemetry/rt-data/"
STALE_AFTER = 60
MIDNIGHT = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
SIX = MIDNIGHT - 10 * DAY + 6 * HOUR
Payload = Mapping[str, float]
Readings = list[tuple[datetime, Payload]]
# (seconds from the start, step, how many, value)
Steps = Iterable[tuple[float, float, int, float]]

CASE: Steps = ((0, 300, 11, 10.0), (3_300, 5, 60, 100.0))


@dataclass(frozen=True, slots=True, kw_only=True)
class UnevenMeter:
    """A meter that does not send at even steps. start: of the hour that is looked at; late: so many of its last
    readings come when everything else was rolled up. by_hand: the mean of the hour by hand, where there is one."""

    name: str
    readings: Readings
    start: datetime = SIX
    field: str = "zyggl"
    late: int = 0
    by_hand: float | None = None


def series(steps: Steps, start: datetime = SIX, *, usual: float = 300, field: str = "zyggl") -> Readings:
    """A day of samples at the usual step, then others."""
    before = [
        (start - DAY + timedelta(seconds=usual * n), {field: 7.0}) for n in range(int(DAY.total_seconds() / usual))
    ]
    inside = [
        (start + timedelta(seconds=begin + step * n), {field: value})
        for begin, step, count, value in steps
        for n in range(count)
    ]
    return [*before, *inside]


def meters() -> list[UnevenMeter]:
    steps: Steps = ((0, 20, 90, 10.0), (1_800, 2, 900, 100.0))
    # Two of three readings have the field.
    sparse: Readings = [
        (time, {"f": 50.0, **(values if number % 3 else {})}) for number, (time, values) in enumerate(series(steps))
    ]
    odd = SIX + timedelta(minutes=7, milliseconds=250)
    return [
        UnevenMeter(name="uneven", readings=series(CASE), by_hand=17.5),
        UnevenMeter(
            name="uneven-tenfold",
            readings=series([(a, b, n, 10 * v) for a, b, n, v in CASE], field="ua"),
            field="ua",
            by_hand=175,
        ),
        UnevenMeter(name="uneven-late", readings=series(CASE), late=66, by_hand=17.5),
        UnevenMeter(
            name="uneven-minutes",
            readings=series(((0, 60, 30, 3.0), (1_800, 1, 600, 9.0), (2_400, 60, 20, 3.0)), usual=60),
            by_hand=4,
        ),
        # Before the silence a value holds for two usual steps: what is not covered has no part in the mean.
        UnevenMeter(
            name="uneven-silent",
            readings=series(((0, 300, 4, 10.0), (3_000, 300, 2, 40.0))),
            by_hand=(1_500 * 10 + 600 * 40) / 2_100,
        ),
        UnevenMeter(name="uneven-odd", readings=series(CASE, odd), start=odd.replace(minute=0, microsecond=0)),
        UnevenMeter(name="uneven-sparse", readings=sparse),
        UnevenMeter(name="uneven-sparse-late", readings=sparse, late=400),
        UnevenMeter(
            name="uneven-angle",
            readings=series(((0, 300, 11, 350.0), (3_300, 5, 60, 30.0)), field="uxja"),
            field="uxja",
        ),
    ]


METERS = meters()


def roll(chain: Chain) -> None:
    datatype = load_registry(chain.settings.greenpower_site)["rt"]
    for _ in range(20):
        run_all(chain.database, (datatype,), chain.settings)
        if not chain.database[INVALIDATIONS].count_documents({}):
            return
    raise AssertionError(list(chain.database[INVALIDATIONS].find()))


def send(chain: Chain, meter: UnevenMeter, readings: Readings) -> None:
    for time, payload in readings:
        chain.publisher.send("MQTT_RT_DATA", {"id": meter.name, **payload, "time": aware(time), "isend": "1"})
        chain.sent += 1


@pytest.fixture(scope="module")
def sent(
    tmp_path_factory: pytest.TempPathFactory, mongod: Mongod, valkey: Valkey, mosquitto: Mosquitto
) -> Iterator[Chain]:
    """All meters, each a device of its own, sent, stored and rolled up; then what is late."""
    with make_chain(tmp_path_factory.mktemp("means"), mongod, valkey, mosquitto) as chain:
        for meter in METERS:
            send(chain, meter, meter.readings[: len(meter.readings) - meter.late])
        chain.store()
        roll(chain)
        for meter in METERS:
            send(chain, meter, meter.readings[len(meter.readings) - meter.late :])
        chain.store()
        roll(chain)
        yield chain


def rows(chain: Chain, meter: UnevenMeter, resolution: str, **more: Any) -> list[Document]:
    """The buckets of a meter from an hour before the one that is looked at, in order."""
    response = chain.get(
        PATH,
        device_id=meter.name,
        resolution=resolution,
        stats="true",
        order="asc",
        page_size=1000,
        start_time=(meter.start - HOUR).isoformat(),
        **more,
    )
    assert response.status_code == 200, response.text
    found: list[Document] = response.get_json()["results"]
    return found


@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.name)
def test_the_mean_of_an_hour_is_the_one_by_hand(sent: Chain, meter: UnevenMeter) -> None:
    hour = [row for row in rows(sent, meter, "30m") if _start(row) in (meter.start, meter.start + HOUR / 2)]
    stats = [row["stats"][meter.field] for row in hour]
    seconds = sum(state["seconds"] for state in stats)
    inside = [
        values[meter.field]
        for time, values in meter.readings
        if meter.start <= time < meter.start + HOUR and meter.field in values
    ]
    assert sum(state["n"] for state in stats) == len(inside)
    if meter.by_hand is not None:
        mean = (
            sum(row["payload"][meter.field] * state["seconds"] for row, state in zip(hour, stats, strict=True))
            / seconds
        )
        assert mean == pytest.approx(meter.by_hand)
        assert min(state["min"] for state in stats) == min(inside)
        assert max(state["max"] for state in stats) == max(inside)


@pytest.mark.parametrize("resolution", ["1m", "10m", "30m", "3h", "6h"])
@pytest.mark.parametrize("meter", METERS, ids=lambda meter: meter.name)
def test_every_tier_has_the_plain_integral(sent: Chain, meter: UnevenMeter, resolution: str) -> None:
    length = {"1m": 60, "10m": 600, "30m": 1_800, "3h": 10_800, "6h": 21_600}[resolution]
    times = [time for time, _ in meter.readings]
    longest = limits(times, STALE_AFTER)
    covered = PlainSegments([(time, 1) for time in times], longest)
    samples = [(time, values[meter.field]) for time, values in meter.readings if meter.field in values]
    segments = PlainSegments(samples, longest)
    found = rows(sent, meter, resolution)
    assert found and all(row["final"] for row in found)
    for row in found:
        start = _start(row)
        end = start + timedelta(seconds=length)
        assert row["coverage"]["seconds"] == pytest.approx(float(covered.mean(start, end).seconds), abs=1e-3)
        inside = [value for time, value in samples if start <= time < end]
        assert (meter.field in row["payload"]) == bool(inside)
        if inside:
            wanted, stats = segments.mean(start, end), row["stats"][meter.field]
            assert (stats["n"], stats["first"], stats["last"]) == (len(inside), inside[0], inside[-1])
            assert stats["seconds"] == pytest.approx(float(wanted.seconds), abs=1e-3)
            mean = wanted.direction if meter.field == "uxja" else wanted.mean
            assert mean is not None and row["payload"][meter.field] == pytest.approx(float(mean), rel=1e-9)


def test_an_export_has_the_same_numbers(sent: Chain) -> None:
    for meter in METERS:
        listed = rows(sent, meter, "10m")
        exported = sent.get(
            f"{PATH}export/",
            resolution="10m",
            device_id=meter.name,
            start_time=(meter.start - HOUR).isoformat(),
        ).data.splitlines()
        assert [orjson.loads(line)["payload"] for line in exported] == [row["payload"] for row in listed]


def _start(row: Document) -> datetime:
    return datetime.fromisoformat(row["timestamp"]).astimezone(UTC)
